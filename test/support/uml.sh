#!/bin/bash
# Runs a bash script in user-mode Linux, a kernel with IPIP that needs no privileges: uml.sh SCRIPT FOLDER
#
# The guest sees this machine's file system read-only, has a 64-bit Debian kernel with the tunnel and link modules loaded, and starts SCRIPT
# as root with $OUT as a folder that is FOLDER here. Console output goes to FOLDER/console.log; the exit status is the script's, 99
# where the guest did not get that far. UML_SECONDS limits the whole run (120).
set -u

host() {
  local script folder status
  script=$(readlink -f "$1")
  folder=$(readlink -f "$2")
  gcc -Wall -O2 -shared -fPIC -o "$folder/xstate.so" "$(dirname "$0")/uml-xstate.c" >"$folder/console.log" 2>&1 || exit 99
  # It keeps a control socket below HOME.
  HOME=$folder LD_PRELOAD=$folder/xstate.so timeout "${UML_SECONDS:-120}" linux.uml mem="${UML_MEMORY:-768M}" \
    root=/dev/root rootfstype=hostfs rootflags=/ ro init="$(readlink -f "$0")" \
    con0=fd:0,fd:1 con=null quiet loglevel=1 uml_script="$script" uml_folder="$folder" \
    </dev/null >"$folder/console.log" 2>&1
  status=$(sed -n 's/^uml-exit-status \([0-9]*\).*/\1/p' "$folder/console.log" | tail -n 1)
  exit "${status:-99}"
}

# Process 1 of the guest: kernel parameters that nobody knows arrive as environment variables.
guest() {
  export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/run TMPDIR=/run
  mount -t proc proc /proc
  mount -t sysfs sysfs /sys
  mount -t tmpfs tmpfs /run
  mkdir -p /run/netns /run/out
  mount -t hostfs none /run/out -o "$uml_folder"
  local modules module
  modules=/usr/lib/uml/modules/$(uname -r)/kernel
  for module in drivers/net/veth drivers/net/dummy net/ipv4/tunnel4 net/ipv4/ip_tunnel net/ipv4/ipip; do
    busybox insmod "$modules/$module.ko"
  done
  ip link set lo up
  cd "$(dirname "$uml_script")" || busybox poweroff -f
  export OUT=/run/out
  set -a
  [ -f "$OUT/variables" ] && . "$OUT/variables"
  set +a
  bash "$uml_script"
  echo "uml-exit-status $?"
  busybox poweroff -f
}

if [ "$$" = 1 ]; then guest; else host "$@"; fi
