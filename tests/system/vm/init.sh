#!/bin/busybox sh
# The first program of the virtual machine: loads the modules, takes the host's root over 9p, read-only, and hands over to
# agent.py there. `dfurun.python`, `dfurun.agent` and `dfurun.port` come on the kernel's command line.

export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
while read -r module; do
	insmod "/modules/$module" || echo "init: $module does not load"
done < /modules/order

mount -t 9p -o trans=virtio,version=9p2000.L,msize=262144,cache=loose,ro host /host || poweroff -f
for folder in proc sys dev; do
	mount --move "/$folder" "/host/$folder"
done
mount -t tmpfs tmpfs /host/run # the only place to write to; /tmp may be where the checkout is
mkdir -p /host/run/work /host/dev/pts
mount -t devpts devpts /host/dev/pts
ip link set lo up
ip link set eth0 up
ip address add 10.0.2.15/24 dev eth0

for word in $(cat /host/proc/cmdline); do
	case $word in
	dfurun.python=*) python=${word#*=} ;;
	dfurun.agent=*) agent=${word#*=} ;;
	dfurun.port=*) port=${word#*=} ;;
	esac
done
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/run/work TMPDIR=/run/work LANG=C.UTF-8
# Without udevd libusb never hears of a board that comes back.
chroot /host /lib/systemd/systemd-udevd --daemon
chroot /host "$python" "$agent" 10.0.2.2 "$port"
poweroff -f
