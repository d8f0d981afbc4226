#!/bin/sh
# The bare floor of a golden image: the packages of the pipeline, installed with
# chroot apt-get on a mounted copy of the parent's disk, then one boot of that
# disk in the same mode of QEMU, until it asks for a login. Prints the seconds
# of both. Arguments: the parent's raw disk, a working folder.
set -eu
disk=$2/floor.raw mnt=$2/floor
mkdir -p "$mnt"
cleanup() {
    for d in /proc /sys /dev ""; do umount "$mnt$d" 2>/dev/null || true; done
    rm -f "$disk"
}
trap cleanup EXIT
cp --sparse=always "$1" "$disk"
start=$(sfdisk -l -o Start,Sectors "$disk" | awk '/^ *[0-9]/ && $2 > max { max = $2; start = $1 } END { print start }')
mount -o loop,offset=$((start * 512)) "$disk" "$mnt"
mount -t proc proc "$mnt/proc"
mount --rbind --make-rslave /sys "$mnt/sys" 2>/dev/null || mount -t sysfs sysfs "$mnt/sys"
mount --bind /dev "$mnt/dev"
cp -L /etc/resolv.conf "$mnt/etc/resolv.conf.floor"
mv "$mnt/etc/resolv.conf.floor" "$mnt/etc/resolv.conf"
printf '#!/bin/sh\nexit 101\n' >"$mnt/usr/sbin/policy-rc.d"
chmod 755 "$mnt/usr/sbin/policy-rc.d"
at=$(date +%s.%N)
DEBIAN_FRONTEND=noninteractive chroot "$mnt" sh -c 'apt-get -q update && apt-get -q -y install --no-install-recommends nginx-light curl' >"$2/floor.log" 2>&1
umount -R "$mnt/sys" 2>/dev/null || umount "$mnt/sys"
umount "$mnt/proc" "$mnt/dev"
umount "$mnt"
installed=$(date +%s.%N)
accel='-accel tcg,thread=multi,tb-size=512 -cpu qemu64,vendor=GenuineIntel,family=6,model=28,stepping=2,+ssse3,+sse4.1,+sse4.2,+popcnt,+cx16,+lahf-lm'
if [ "${FLOOR_KVM:-}" = 1 ]; then accel='-accel kvm -cpu host'; fi
# shellcheck disable=SC2086
qemu-system-x86_64 -nodefaults -no-user-config -display none \
    -machine q35,sata=off,usb=off,smbus=off,vmport=off,hpet=off,graphics=off $accel -smp 2 -m 2048 \
    -drive "if=none,id=d,format=raw,file=$disk" -device virtio-blk-pci,drive=d \
    -object rng-random,id=rng,filename=/dev/urandom -device virtio-rng-pci,rng=rng \
    -netdev user,id=n -device virtio-net-pci,netdev=n,romfile= -serial "file:$2/floor.console" &
qemu=$!
while ! grep -q 'login:' "$2/floor.console" 2>/dev/null; do
    kill -0 $qemu || exit 1
    sleep 0.02
done
booted=$(date +%s.%N)
kill $qemu
wait $qemu || true
rm -f "$2/floor.console"
awk -v a="$at" -v b="$installed" -v c="$booted" 'BEGIN { printf "%.3f %.3f\n", b - a, c - b }'
