# Rebuilds the images in recipes/firmware, byte for byte. Included by the Makefile at the top of the repository.
#
#   make firmware        build recipes/firmware/*-blinky.elf, .hex, .bin and .dfu, and print their sha256
#   make firmware-check  build them in a temporary folder and compare with the files that are checked in
#
# Another compiler makes another image, so exactly one is accepted: that of Debian 12 (bookworm), the packages
# gcc-arm-none-eabi 15:12.2.rel1-1 and binutils-arm-none-eabi 2.40-2+18, with dfu-suffix from its dfu-util. Neither a C
# library nor libgcc is linked.

FIRMWARE_PREFIX ?= arm-none-eabi-
FIRMWARE_GCC_VERSION := 15:12.2.rel1-1
FIRMWARE_BINUTILS_VERSION := 2.40

FIRMWARE_DIR := recipes/firmware
FIRMWARE_SOURCE := $(FIRMWARE_DIR)/blinky/blinky.c

# One line an image: name, chip (its linker script), target, core, and the files of it that are checked in. A .dfu is the
# raw binary with a DFU suffix for 0483:df11.
define FIRMWARE_IMAGES
f042-blinky stm32f042x6 F042 cortex-m0 dfu
f072-blinky stm32f072xb F072 cortex-m0 elf hex bin
f405-blinky stm32f405xg F405 cortex-m4 elf
endef
export FIRMWARE_IMAGES

FIRMWARE_CFLAGS := -mthumb -std=gnu11 -Os -g0 \
	-Wall -Wextra -Werror -Wshadow -Wundef -Wconversion \
	-ffreestanding -fno-common -fno-tree-loop-distribute-patterns -fno-ident
FIRMWARE_LDFLAGS := -L$(FIRMWARE_DIR)/blinky -nostdlib -Wl,--build-id=none -Wl,--fatal-warnings -Wl,-z,max-page-size=4

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
	fi; \
	if ! command -v dfu-suffix > /dev/null; then \
		echo 'firmware: no dfu-suffix; on Debian: apt-get install dfu-util' >&2; exit 1; \
	fi
endef

# Builds all the files in a new temporary folder, $$built, which is removed when the shell ends; $$files names those that
# are checked in. Compiled and linked apart, because the one-step form would link an object with a random name.
define firmware_build
	set -eu; LC_ALL=C; export LC_ALL; \
	$(firmware_require_tools); \
	built=$$(mktemp -d); trap 'rm -rf "$$built"' EXIT; trap 'exit 129' HUP; trap 'exit 130' INT; trap 'exit 143' TERM; \
	printf '%s\n' "$$FIRMWARE_IMAGES" > "$$built/images"; mkdir "$$built/all" "$$built/kept"; \
	while read -r image chip target core kept; do \
		flags="-DTARGET_$$target -mcpu=$$core $(FIRMWARE_CFLAGS)"; all="$$built/all/$$image"; \
		"$(FIRMWARE_PREFIX)gcc" $$flags '-ffile-prefix-map=$(CURDIR)=.' -c -o "$$built/blinky.o" $(FIRMWARE_SOURCE); \
		"$(FIRMWARE_PREFIX)gcc" $$flags $(FIRMWARE_LDFLAGS) -T $(FIRMWARE_DIR)/blinky/$$chip.ld \
			-o "$$all.elf" "$$built/blinky.o"; \
		"$(FIRMWARE_PREFIX)objcopy" -O ihex "$$all.elf" "$$all.hex"; \
		"$(FIRMWARE_PREFIX)objcopy" -O binary "$$all.elf" "$$all.bin"; \
		cp "$$all.bin" "$$all.dfu"; \
		dfu-suffix --vid 0483 --pid df11 --add "$$all.dfu" > "$$built/dfu-suffix.log"; \
		for suffix in $$kept; do cp "$$all.$$suffix" "$$built/kept/"; done; \
	done < "$$built/images"; \
	chmod 644 "$$built"/kept/*; files=$$(cd "$$built/kept"; echo *)
endef

.PHONY: firmware firmware-check

firmware:
	@$(firmware_build); \
	for file in $$files; do mv -f "$$built/kept/$$file" $(FIRMWARE_DIR)/; done; \
	cd $(FIRMWARE_DIR); sha256sum $$files

firmware-check:
	@$(firmware_build); \
	failures=0; \
	for name in $$files; do \
		file=$(FIRMWARE_DIR)/$$name; \
		if ! cmp "$$built/kept/$$name" "$$file" >&2; then \
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
