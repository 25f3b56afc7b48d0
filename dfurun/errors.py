"""The bottom of the house: exit statuses, the codes of everything that can go wrong, findings, and one tree of errors.

    DfurunError                 carries a Code, what it means for the board, what to do
    +-- InvalidInput            a recipe or an image cannot be used; carries its findings
    +-- Refused                 dfurun declines before any harm: a guard, a pin, an expectation
    +-- StepFailed              the unit failed: a step, a verification, a check
    +-- DeviceNotFound          no board, or more than one that fits
    +-- AccessDenied            no permission, no driver, no libusb, or another program has the board (also a PermissionError)
    +-- LinkUnreliable          the link lies or the board is lost: its state is unknown (also a ConnectionError)
    |   +-- AddressRefused      the ROM says that it reaches no memory there
    +-- Interrupted             Ctrl-C, taken at a safe boundary

A `Code` is stable: scripts and people may rely on its name and its exit status.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum


class ExitStatus(IntEnum):
    """What the process tells its caller; the table in docs/guide/runs.md."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    INVALID = 3
    NO_DEVICE = 4
    NO_ACCESS = 5
    REFUSED = 6
    LINK = 7
    SEVERAL = 8
    BUG = 9
    CHANGES = 10
    INTERRUPTED = 130


class Severity(StrEnum):
    """How much a finding weighs. Only errors stop a recipe."""

    ERROR = "error"
    WARNING = "warning"


def _advice(label: str, summary: str) -> tuple[str, ExitStatus, str, Severity]:
    """Return what a code of `lint` is made of: other commands do not have it, and `lint` fails for it."""
    return label, ExitStatus.FAILED, summary, Severity.WARNING


class Code(Enum):
    """Everything dfurun can say is wrong: name, exit status, one sentence of cause, and a severity where it is no error."""

    def __init__(self, label: str, exit_status: ExitStatus, summary: str, severity: Severity = Severity.ERROR) -> None:
        self.label = label
        self.exit_status = exit_status
        self.severity = severity
        self.summary = summary

    def __str__(self) -> str:
        return self.label

    @property
    def is_advice(self) -> bool:
        """Whether it is `lint` that says so: no other command does."""
        return self.severity is Severity.WARNING and self.exit_status is ExitStatus.FAILED

    # Reading a recipe -------------------------------------------------------------------------------------------------
    RECIPE_UNREADABLE = ("recipe-unreadable", ExitStatus.INVALID, "the recipe cannot be read as UTF-8 text")
    RECIPE_TOO_LARGE = (
        "recipe-too-large",
        ExitStatus.INVALID,
        "a recipe is at most 256 KiB, and 10000 keys and values",
    )
    TOO_MANY_FINDINGS = (
        "too-many-findings",
        ExitStatus.INVALID,
        "more is wrong than is shown",
        Severity.WARNING,
    )
    YAML_SYNTAX = ("yaml-syntax", ExitStatus.INVALID, "the text is not YAML")
    YAML_TOO_DEEP = ("yaml-too-deep", ExitStatus.INVALID, "a recipe nests at most 32 levels")
    YAML_DUPLICATE_KEY = ("yaml-duplicate-key", ExitStatus.INVALID, "a mapping has the same key twice")
    YAML_KEY_NOT_TEXT = ("yaml-key-not-text", ExitStatus.INVALID, "a mapping has a key that is not text")
    YAML_FEATURE = (
        "yaml-feature",
        ExitStatus.INVALID,
        "tags, anchors, aliases, merge keys, directives and several documents are not part of a recipe",
    )
    YAML_AMBIGUOUS = ("yaml-ambiguous", ExitStatus.INVALID, "a plain scalar that YAML 1.1 and 1.2 read differently")
    UNKNOWN_KEY = ("unknown-key", ExitStatus.INVALID, "a key that the recipe language does not have")
    UNKNOWN_STEP = ("unknown-step", ExitStatus.INVALID, "a step that the recipe language does not have")
    MISSING_KEY = ("missing-key", ExitStatus.INVALID, "a key that must be there is not")
    WRONG_TYPE = ("wrong-type", ExitStatus.INVALID, "a value of the wrong type")
    BAD_VALUE = ("bad-value", ExitStatus.INVALID, "a value outside what its key takes")
    STEP_SHAPE = ("step-shape", ExitStatus.INVALID, "a step is a name, or one key with a body")
    VERSION_TOO_OLD = ("version-too-old", ExitStatus.INVALID, "the recipe requires a newer dfurun")
    UNKNOWN_CHIP = ("unknown-chip", ExitStatus.INVALID, "a chip that the chip data does not have")
    UNKNOWN_FIELD = ("unknown-field", ExitStatus.INVALID, "an option-byte field that the chip does not have")
    NO_OPTION_BYTES = (
        "no-option-bytes",
        ExitStatus.INVALID,
        "a chip whose bootloader's option bytes are not established",
    )
    FACTORY_NOT_KNOWN = (
        "factory-not-known",
        ExitStatus.INVALID,
        "`from: factory` on a chip whose factory bytes are not known",
    )
    UNKNOWN_IMAGE = ("unknown-image", ExitStatus.INVALID, "a step names an image that the recipe does not list")
    UNKNOWN_DATA = ("unknown-data", ExitStatus.INVALID, "a step names data that the recipe does not spell out")
    UNKNOWN_GUARD = ("unknown-guard", ExitStatus.INVALID, "`allow` names a guard that the chip does not have")
    UNUSED_IMAGE = ("unused-image", ExitStatus.INVALID, "an image, or data, that no step uses", Severity.WARNING)
    UNPINNED_IMAGE = (
        "unpinned-image",
        ExitStatus.INVALID,
        "an image without a sha256: what is reviewed may not be what is flashed",
        Severity.WARNING,
    )
    BASE_UNREADABLE = ("base-unreadable", ExitStatus.INVALID, "the file in `extends` cannot be read as a recipe")
    BASE_OUTSIDE = ("base-outside", ExitStatus.INVALID, "the file in `extends` is outside the recipe's repository")
    BASE_CYCLE = ("base-cycle", ExitStatus.INVALID, "recipes that extend each other, in a circle or without end")
    ABSTRACT_RECIPE = ("abstract-recipe", ExitStatus.INVALID, "a recipe that is only a base for others")
    BAD_EDIT = ("bad-edit", ExitStatus.INVALID, "an edit of the base that cannot be done")
    UNKNOWN_VARIABLE = ("unknown-variable", ExitStatus.INVALID, "a variable that the recipe does not declare")
    VARIABLE_MISSING = ("variable-missing", ExitStatus.INVALID, "a variable without a default is not given")
    VARIABLE_VALUE = ("variable-value", ExitStatus.INVALID, "a value that its variable does not take")
    BAD_REFERENCE = ("bad-reference", ExitStatus.INVALID, "a `${` that is not closed, or stands where no variable can")
    VARIABLES_UNREADABLE = ("variables-unreadable", ExitStatus.INVALID, "the file of `--vars` cannot be read")
    UNUSED_VARIABLE = (
        "unused-variable",
        ExitStatus.INVALID,
        "a variable that nothing in the recipe uses",
        Severity.WARNING,
    )

    # Images -----------------------------------------------------------------------------------------------------------
    IMAGE_MISSING = ("image-missing", ExitStatus.INVALID, "an image file cannot be read")
    IMAGE_OUTSIDE = (
        "image-outside",
        ExitStatus.INVALID,
        "a file outside the recipe's repository, without --allow-outside",
    )
    IMAGE_INVALID = ("image-invalid", ExitStatus.INVALID, "an image file is damaged")
    IMAGE_EMPTY = ("image-empty", ExitStatus.INVALID, "an image file holds no data")
    IMAGE_ADDRESS = ("image-address", ExitStatus.INVALID, "raw binary needs an address; other formats bring their own")
    IMAGE_FOR_OTHER_DEVICE = (
        "image-for-other-device",
        ExitStatus.INVALID,
        "a DFU suffix names another USB device than the chip's bootloader",
    )
    PIN_MISMATCH = ("pin-mismatch", ExitStatus.REFUSED, "an image file is not the one that was pinned")

    # Rules of the steps -----------------------------------------------------------------------------------------------
    STEP_ORDER = ("step-order", ExitStatus.INVALID, "a step at a place where it cannot work")
    NOT_ERASED = ("not-erased", ExitStatus.INVALID, "a write to flash that no earlier step erased")
    OUTSIDE_FLASH = ("outside-flash", ExitStatus.INVALID, "an address outside the memory that the step works on")
    OPTION_BYTES_IN_IMAGE = (
        "option-bytes-in-image",
        ExitStatus.INVALID,
        "an image holds option bytes, which `write` and `verify` leave out",
        Severity.WARNING,
    )
    VECTOR_TABLE = (
        "vector-table",
        ExitStatus.INVALID,
        "an image holds no plausible vector table where the core starts",
        Severity.WARNING,
    )
    OVERLAP = ("overlap", ExitStatus.INVALID, "two writes to the same bytes")
    MISALIGNED = ("misaligned", ExitStatus.INVALID, "an address or a size that the ROM cannot take")
    VERIFY_UNWRITTEN = (
        "verify-unwritten",
        ExitStatus.INVALID,
        "a verify of an image that the recipe does not write",
        Severity.WARNING,
    )
    NOT_VERIFIED = ("not-verified", ExitStatus.INVALID, "an image is written and never verified", Severity.WARNING)
    OUT_OF_REACH = (
        "bootloader-out-of-reach",
        ExitStatus.INVALID,
        "a write after which the board does not start its bootloader again",
        Severity.WARNING,
    )
    GUARD = ("guard", ExitStatus.REFUSED, "a change of option bytes that locks the chip or hides what is on it")

    # The bus ----------------------------------------------------------------------------------------------------------
    NO_DEVICE = ("no-device", ExitStatus.NO_DEVICE, "no board in DFU mode is on the bus")
    AMBIGUOUS_DEVICE = ("ambiguous-device", ExitStatus.NO_DEVICE, "more than one board fits")
    NO_PERMISSION = ("no-permission", ExitStatus.NO_ACCESS, "the system does not let this user open the board")
    NO_DRIVER = ("no-driver", ExitStatus.NO_ACCESS, "the board's driver is not one that libusb can use")
    DEVICE_BUSY = ("device-busy", ExitStatus.NO_ACCESS, "another program has the board open")
    NO_LIBUSB = ("no-libusb", ExitStatus.NO_ACCESS, "no libusb on this computer")

    # A run ------------------------------------------------------------------------------------------------------------
    EXPECTATION = ("expectation", ExitStatus.REFUSED, "the board is not the one that the recipe expects")
    PROTECTED = ("protected", ExitStatus.REFUSED, "the chip is read-protected, and the step needs it open")
    WRITE_PROTECTED = ("write-protected", ExitStatus.REFUSED, "pages to be written are write-protected")
    PAGES_MOVED = (
        "pages-moved",
        ExitStatus.REFUSED,
        "option bytes give the flash other pages than the chip's data has",
    )
    NOT_A_ROM = ("not-a-rom", ExitStatus.REFUSED, "the device is a DFU program in user flash, not the ROM")
    CLONE = ("clone", ExitStatus.REFUSED, "the device is another vendor's chip that only looks like an STM32")
    KEPT_PAGE = (
        "kept-page",
        ExitStatus.REFUSED,
        "a page that an earlier run has kept a copy of holds something else now",
    )
    FILE_OUTSIDE = (
        "file-outside",
        ExitStatus.REFUSED,
        "a link leads a file that a recipe would write out of the working directory",
    )
    PLAN_UNREADABLE = ("plan-unreadable", ExitStatus.INVALID, "a file that --plan names is no plan of dfurun")
    PLAN_DIFFERS = (
        "plan-differs",
        ExitStatus.REFUSED,
        "the recipe, an image or the board is not what a plan was made and reviewed for",
    )
    FILE_EXISTS = ("file-exists", ExitStatus.REFUSED, "a file is there already and would be overwritten")
    IRREVERSIBLE = ("irreversible", ExitStatus.REFUSED, "an irreversible change without --allow-irreversible")
    OPTION_BYTES_SPOILED = (
        "option-bytes-spoiled",
        ExitStatus.REFUSED,
        "damaged option bytes that the recipe does not name",
    )
    STEP_FAILED = ("step-failed", ExitStatus.FAILED, "the board refused an operation")
    STEP_TIMEOUT = ("step-timeout", ExitStatus.FAILED, "a step did not end within its timeout")
    VERIFY_MISMATCH = ("verify-mismatch", ExitStatus.FAILED, "the flash does not hold the image")
    OPTION_BYTES_DIFFER = ("option-bytes-differ", ExitStatus.FAILED, "the option bytes are not as the recipe says")
    STILL_PROTECTED = ("still-protected", ExitStatus.FAILED, "the chip is still protected after unprotect")
    NO_APPLICATION = ("no-application", ExitStatus.FAILED, "what is in flash is no application to leave for")
    STILL_IN_DFU = ("still-in-dfu", ExitStatus.FAILED, "the board did not leave the bootloader")
    FILE_UNWRITABLE = ("file-unwritable", ExitStatus.FAILED, "a file cannot be written")
    LINK_UNRELIABLE = ("link-unreliable", ExitStatus.LINK, "the USB link lies more often than it can be asked again")
    DEVICE_LOST = ("device-lost", ExitStatus.LINK, "the board left the bus in the middle of a step")
    NOT_BACK = ("not-back", ExitStatus.LINK, "the board did not come back after a reset")
    NO_POWER_CYCLE = ("no-power-cycle", ExitStatus.LINK, "nobody power-cycled the board in time")
    RESERVED_BIT_CLEARED = (
        "reserved-bit-cleared",
        ExitStatus.DONE,
        "an option bit that must stay 1 reads 0",
        Severity.WARNING,
    )
    POWER_CYCLE_NEEDED = (
        "power-cycle-needed",
        ExitStatus.DONE,
        "stored option bytes wait for a power-on",
        Severity.WARNING,
    )
    INTERRUPTED_RUN = ("interrupted-run", ExitStatus.DONE, "the last run at this port did not end", Severity.WARNING)
    JOURNAL_DAMAGED = (
        "journal-damaged",
        ExitStatus.DONE,
        "a part of the port's journal is torn or damaged",
        Severity.WARNING,
    )
    UNRELIABLE_ANSWERS = ("unreliable-answers", ExitStatus.DONE, "transfers had to be repeated", Severity.WARNING)

    # The fault matrix -------------------------------------------------------------------------------------------------
    NO_CLEAN_RUN = ("no-clean-run", ExitStatus.FAILED, "a recipe does not pass on a simulated board without any fault")
    FAULTS_NOT_SURVIVED = ("faults-not-survived", ExitStatus.FAILED, "a fault breaks a promise in the fault matrix")

    # Reviewing a recipe -----------------------------------------------------------------------------------------------
    PIN_OUTDATED = ("pin-outdated", ExitStatus.FAILED, "a pin is not of the image file that is there")
    NO_EXPECT = _advice("no-expect", "a recipe that erases whichever board is attached")
    NEVER_STARTS = _advice("never-starts", "what is written is not started")
    ENTRY_ERASED = _advice("entry-erased", "`leave-dfu` for flash that the recipe has erased")
    BOOTLOADER_ERASED = _advice("bootloader-erased", "flash below the application is erased and not written")
    WRITTEN_THEN_ERASED = _advice("written-then-erased", "an image is written, and a later step erases it")
    ERASED_TWICE = _advice("erased-twice", "pages are erased that are erased already")
    PROTECTED_BEFORE_VERIFY = _advice("protected-before-verify", "read protection is set before the `verify`")
    PROTECTION_NOT_SEEN = _advice("protection-not-seen", "protection is stored, and not seen in force")
    RDP_LOWERED = _advice("rdp-lowered", "`set-option-bytes` lowers RDP, which only `unprotect` can")
    BOOT_HALF_NAMED = _advice("boot-half-named", "bits that nobody names decide whether the application starts")
    FOR_EVER = _advice("for-ever", "a step that nothing undoes")
    ALLOW_UNNEEDED = _advice("allow-unneeded", "`allow` names a guard that no step meets")
    TIMEOUT_TOO_SHORT = _advice("timeout-too-short", "a timeout shorter than the chip's own maximum")
    ONE_FILE_FOR_ALL = _advice("one-file-for-all", "`read` saves every board in a file of the same name")
    LINT_IGNORE_BAD = _advice("lint-ignore-bad", "an `x-lint-ignore` without a known code or without a reason")
    LINT_IGNORE_UNUSED = _advice("lint-ignore-unused", "an `x-lint-ignore` that silences nothing")

    # The command line -------------------------------------------------------------------------------------------------
    NO_GIT = ("no-git", ExitStatus.USAGE, "recipes of a revision are asked for, and git cannot be run")
    NO_REPOSITORY = ("no-repository", ExitStatus.USAGE, "recipes of a revision are asked for outside a git repository")
    UNKNOWN_REVISION = ("unknown-revision", ExitStatus.USAGE, "a revision that the repository does not have")
    NOT_IN_REVISION = ("not-in-revision", ExitStatus.INVALID, "a recipe that neither side of a comparison has")
    USAGE = ("usage", ExitStatus.USAGE, "the command line is not understood")
    SIM_STATE = ("sim-state", ExitStatus.USAGE, "a simulated board's state file cannot be used")
    INTERRUPTED = ("interrupted", ExitStatus.INTERRUPTED, "stopped by Ctrl-C at a safe boundary")
    BUG = ("bug", ExitStatus.BUG, "dfurun itself is wrong")


RecipePath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a file: line and column count from 1, `end_column` is exclusive."""

    file: str
    line: int
    column: int
    end_column: int
    source_line: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Related:
    """The second caret of a finding: the other place of a conflict."""

    path: RecipePath
    message: str
    place: Place | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with an input: a code, where in the recipe, and words.

    `path` leads to a value of the recipe (`("steps", 3, "write", "image")`); `on_key` puts the caret under its key. `notes`
    are facts too long for the message, a line each.
    Steps and rules know no places: only `dfurun.recipe` turns a path into one.
    """

    code: Code
    message: str
    path: RecipePath = ()
    hint: str = ""
    on_key: bool = False
    place: Place | None = None
    related: tuple[Related, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        """The code's severity."""
        return self.code.severity


def worst_status(findings: Sequence[Finding]) -> ExitStatus:
    """Return the exit status for findings: INVALID before REFUSED, DONE where nothing is an error."""
    statuses = {finding.code.exit_status for finding in findings if finding.severity is Severity.ERROR}
    for status in (ExitStatus.INVALID, ExitStatus.REFUSED):
        if status in statuses:
            return status
    return ExitStatus.DONE


class DfurunError(Exception):
    """A failure that dfurun understands.

    `message` says what happened and where; `consequence` what it means for the board; `hint` what to do; `evidence` what
    was seen, a line each.
    """

    def __init__(
        self, code: Code, message: str, *, consequence: str = "", hint: str = "", evidence: Sequence[str] = ()
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.consequence = consequence
        self.hint = hint
        self.evidence = tuple(evidence)

    @property
    def exit_status(self) -> ExitStatus:
        """What the process exits with."""
        return self.code.exit_status


class InvalidInput(DfurunError, ValueError):
    """A recipe or an image that cannot be used, with everything that is wrong with it."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        errors = [finding for finding in findings if finding.severity is Severity.ERROR]
        super().__init__(errors[0].code, errors[0].message, consequence="nothing was sent to any board")
        self.findings = tuple(findings)

    @property
    def exit_status(self) -> ExitStatus:
        """INVALID, or REFUSED where all that is wrong is a guard or a pin."""
        return worst_status(self.findings)


class Refused(DfurunError):
    """dfurun declines: a guard, a pin, an expectation."""


class StepFailed(DfurunError):
    """The unit failed."""


class DeviceNotFound(DfurunError):
    """No board, or more than one that fits."""


class AccessDenied(DfurunError, PermissionError):
    """A board is there and cannot be opened."""

    def __str__(self) -> str:
        return self.message


class LinkUnreliable(DfurunError, ConnectionError):
    """The link lies, or the board is lost; its state is unknown."""

    def __str__(self) -> str:
        return self.message


class AddressRefused(LinkUnreliable):
    """The ROM says of an address, again and again, that it reaches no memory there (errTARGET)."""


class Interrupted(DfurunError):
    """Ctrl-C, taken at a safe boundary."""
