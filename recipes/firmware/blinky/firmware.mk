# Rebuilds the images in recipes/firmware, byte for byte. Included by the Makefile at the top of the repository.
#
#   make firmware        build recipes/firmware/f072-blinky.elf, .hex and .bin, and print their sha256
#   make firmware-check  build them in a temporary folder and compare with the files that are checked in
#
# Another compiler makes another image, so exactly one is accepted: that of Debian 12 (bookworm), the packages
# gcc-arm-none-eabi 15:12.2.rel1-1 and binutils-arm-none-eabi 2.40-2+18. Neither a C library nor libgcc is linked.

FIRMWARE_PREFIX ?= arm-none-eabi-
FIRMWARE_GCC_VERSION := 15:12.2.rel1-1
FIRMWARE_BINUTILS_VERSION := 2.40

FIRMWARE_DIR := recipes/firmware
FIRMWARE_SOURCE := $(FIRMWARE_DIR)/blinky/blinky.c
FIRMWARE_SCRIPT := $(FIRMWARE_DIR)/blinky/stm32f072xb.ld
FIRMWARE_IMAGE := f072-blinky
FIRMWARE_SUFFIXES := elf hex bin

FIRMWARE_CFLAGS := -DTARGET_F072 -mcpu=cortex-m0 -mthumb -std=gnu11 -Os -g0 \
	-Wall -Wextra -Werror -Wshadow -Wundef -Wconversion \
	-ffreestanding -fno-common -fno-tree-loop-distribute-patterns -fno-ident
FIRMWARE_LDFLAGS := -nostdlib -Wl,--build-id=none -Wl,--fatal-warnings -Wl,-z,max-page-size=4

# Refuses any compiler or linker but the named ones.
define firmware_require_tools
	gcc_found=$$("$(FIRMWARE_PREFIX)gcc" --version 2>/dev/null | sed -n '1s/.*(\(.*\)).*/\1/p'); \
	ld_found=$$("$(FIRMWARE_PREFIX)ld" --version 2>/dev/null | sed -n '1s/.* //p'); \
	if [ "$$gcc_found" != '$(FIRMWARE_GCC_VERSION)' ] || [ "$$ld_found" != '$(FIRMWARE_BINUTILS_VERSION)' ]; then \
		echo 'firmware: this compiler cannot reproduce the checked-in images; nothing was built' >&2; \
		echo "  $(FIRMWARE_PREFIX)gcc: wanted $(FIRMWARE_GCC_VERSION), found $${gcc_found:-none}" >&2; \
		echo "  $(FIRMWARE_PREFIX)ld: wanted $(FIRMWARE_BINUTILS_VERSION), found $${ld_found:-none}" >&2; \
		echo '  on Debian 12 (bookworm): apt-get install gcc-arm-none-eabi=$(FIRMWARE_GCC_VERSION) binutils-arm-none-eabi' >&2; \
		exit 1; \
	fi
endef

# Builds all the files in a new temporary folder, $$built, which is removed when the shell ends. Compiled and linked
# apart, because the one-step form would link an object with a random name.
define firmware_build
	set -eu; LC_ALL=C; export LC_ALL; \
	$(firmware_require_tools); \
	built=$$(mktemp -d); trap 'rm -rf "$$built"' EXIT; trap 'exit 129' HUP; trap 'exit 130' INT; trap 'exit 143' TERM; \
	"$(FIRMWARE_PREFIX)gcc" $(FIRMWARE_CFLAGS) '-ffile-prefix-map=$(CURDIR)=.' \
		-c -o "$$built/blinky.o" $(FIRMWARE_SOURCE); \
	"$(FIRMWARE_PREFIX)gcc" $(FIRMWARE_CFLAGS) $(FIRMWARE_LDFLAGS) -T $(FIRMWARE_SCRIPT) \
		-o "$$built/$(FIRMWARE_IMAGE).elf" "$$built/blinky.o"; \
	"$(FIRMWARE_PREFIX)objcopy" -O ihex "$$built/$(FIRMWARE_IMAGE).elf" "$$built/$(FIRMWARE_IMAGE).hex"; \
	"$(FIRMWARE_PREFIX)objcopy" -O binary "$$built/$(FIRMWARE_IMAGE).elf" "$$built/$(FIRMWARE_IMAGE).bin"; \
	chmod 644 "$$built"/$(FIRMWARE_IMAGE).*
endef

.PHONY: firmware firmware-check

firmware:
	@$(firmware_build); \
	for suffix in $(FIRMWARE_SUFFIXES); do \
		mv -f "$$built/$(FIRMWARE_IMAGE).$$suffix" $(FIRMWARE_DIR)/; \
	done; \
	cd $(FIRMWARE_DIR); \
	for suffix in $(FIRMWARE_SUFFIXES); do sha256sum $(FIRMWARE_IMAGE).$$suffix; done

firmware-check:
	@$(firmware_build); \
	failures=0; \
	for suffix in $(FIRMWARE_SUFFIXES); do \
		file=$(FIRMWARE_DIR)/$(FIRMWARE_IMAGE).$$suffix; \
		if ! cmp "$$built/$(FIRMWARE_IMAGE).$$suffix" "$$file" >&2; then \
			echo "firmware-check: $$file is not what its source builds: run 'make firmware'" >&2; \
			failures=$$((failures + 1)); \
			continue; \
		fi; \
		sum=$$(sha256sum < "$$file" | cut -d ' ' -f 1); \
		if ! grep -q "$$sum" $(FIRMWARE_DIR)/README.md; then \
			echo "firmware-check: $(FIRMWARE_DIR)/README.md does not give the sha256 of $$file: $$sum" >&2; \
			failures=$$((failures + 1)); \
			continue; \
		fi; \
		echo "$$file: identical, sha256 $$sum"; \
	done; \
	[ "$$failures" -eq 0 ]
