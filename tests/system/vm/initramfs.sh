#!/bin/sh
# Makes what the virtual machine boots: Debian's kernel, and an initramfs with its modules, busybox and init.sh.
#
#     initramfs.sh FOLDER      leaves FOLDER/vmlinuz and FOLDER/initramfs.cpio.gz
#
# The kernel's package is fetched by apt and unpacked, never installed. It needs apt-get, dpkg, kmod, cpio, busybox-static.

set -eu
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$1"
folder=$(cd "$1" && pwd)
temporary=$(mktemp -d "$folder/making.XXXXXX")
trap 'rm -rf "$temporary"' EXIT
trap 'exit 1' HUP INT TERM
PATH=$PATH:/usr/sbin:/sbin # depmod and modprobe

kernel=$(apt-cache depends linux-image-amd64 | sed -n 's/^ *Depends: \(linux-image-[0-9].*-amd64\)$/\1/p')
[ -n "$kernel" ] || { echo 'apt knows no linux-image-amd64: apt-get update' >&2; exit 1; }
version=${kernel#linux-image-}

mkdir "$temporary/package" "$temporary/kernel"
(cd "$temporary/package" && apt-get download -q -o APT::Sandbox::User=root "$kernel")
dpkg-deb --extract "$temporary"/package/*.deb "$temporary/kernel"
# Debian 13 and newer have merged /usr: modprobe looks in /lib
[ -d "$temporary/kernel/lib" ] || ln -s usr/lib "$temporary/kernel/lib"
depmod -b "$temporary/kernel" "$version"

root=$temporary/root
mkdir -p "$root/bin" "$root/modules" "$root/dev" "$root/proc" "$root/sys" "$root/host"
cp "$(command -v busybox)" "$root/bin/busybox"
cp "$here/init.sh" "$root/init"
chmod 755 "$root/init"
for module in virtio_pci 9pnet_virtio 9p virtio_net vhci_hcd; do
	modprobe -d "$temporary/kernel" -S "$version" --show-depends "$module"
done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' | while read -r file; do
	name=$(basename "$file")
	case $name in
	*.xz) xz -dc "$file" > "$root/modules/${name%.xz}"; name=${name%.xz} ;;
	*) cp "$file" "$root/modules/$name" ;;
	esac
	echo "$name" >> "$root/modules/order"
done
(cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) > "$temporary/initramfs.cpio.gz"
mv "$temporary/kernel/boot/vmlinuz-$version" "$folder/vmlinuz"
mv "$temporary/initramfs.cpio.gz" "$folder/initramfs.cpio.gz"
