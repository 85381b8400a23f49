# Guest script of ipip-uml.test.ts: two nodes on one link with a pod behind each. Our FIB alone writes the routes between them, then two whole
# daemons do, from what they tell each other, and at last FRR takes the place of one of them. Needs FIB_NODE (the compiled uml-node.js), MAIN (our
# command), NODE (the program node) and FRR (the folder of zebra and bgpd; empty: without that part).
# Leaves what it saw in $OUT; the test judges it.
set -u
for name in n1 n2 p1 p2; do
  ip netns add $name
  ip -n $name link set lo up
done
ip -n n1 link add eth0 type veth peer name eth0 netns n2
for i in 1 2; do
  n=n$i
  ip -n $n link set eth0 up
  ip -n $n addr add 192.168.0.$i/24 dev eth0
  # A second address of the node that its neighbour reaches through a gateway only: another subnet.
  ip -n $n addr add 10.0.$i.$i/32 dev lo
  ip -n $n link add cali$i type veth peer name eth0 netns p$i
  ip -n $n link set cali$i up
  ip -n $n route add 10.244.$i.2/32 dev cali$i
  ip -n p$i link set eth0 up
  ip -n p$i addr add 10.244.$i.2/32 dev eth0
  ip -n p$i route add 169.254.1.1 dev eth0
  ip -n p$i route add default via 169.254.1.1 dev eth0
  ip netns exec $n sh -c "echo 1 >/proc/sys/net/ipv4/ip_forward; echo 1 >/proc/sys/net/ipv4/conf/cali$i/proxy_arp
    echo 0 >/proc/sys/net/ipv4/neigh/cali$i/proxy_delay; echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter
    for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >\$f; done"
  # Proxy ARP answers for 169.254.1.1 only where it has a route to it.
  ip -n $n route add default via 192.168.0.254
done
ip -n n1 route add 10.0.2.2/32 via 192.168.0.2
ip -n n2 route add 10.0.1.1/32 via 192.168.0.1

# start NAME NAMESPACE JOB: waits for `ready` or the end of the process. Every fork is dear here, so nothing polls.
start() {
  mkfifo "/run/$1"
  ip netns exec "$2" "$NODE" "$FIB_NODE" "$3" >"/run/$1" 2>&1 &
  pids="$pids $!"
  exec {output}<"/run/$1"
  while IFS= read -r line <&$output; do
    printf '%s\n' "$line" >>"$OUT/$1.log"
    [ "$line" = ready ] && break
  done
  cat <&$output >>"$OUT/$1.log" &
  exec {output}<&-
}
# until_route TEXT: our routes of n1 contain it again, or 30 s are over.
until_route() {
  for i in $(seq 60); do
    [[ $(ip -n n1 route show proto 179) == *"$1"* ]] && return
    sleep 0.5
  done
}
# ping_through_tunnel NAME COUNT: pings from pod to pod, with what eth0 of n2 carries as IPIP and the counters of tunl0 around it.
ping_through_tunnel() {
  ip -n n1 -j -s link show tunl0 >"$OUT/$1-before"
  ip netns exec n2 timeout 20 tcpdump -i eth0 -n -c 2 ip proto 4 >"$OUT/$1-packets" 2>&1 &
  local dump=$!
  while [[ $(<"$OUT/$1-packets") != *listening* ]] && kill -0 $dump 2>/dev/null; do sleep 0.5; done
  ip netns exec p1 ping -c "$2" -i 0.2 -W 2 10.244.2.2 >"$OUT/$1-ping"
  echo $? >"$OUT/$1-ping-status"
  wait $dump
  ip -n n1 -j -s link show tunl0 >"$OUT/$1-after"
}
stop() {
  kill $pids 2>/dev/null
  wait $pids
  pids=
}
pids=

echo "--- the tunnel device of somebody else, as Felix sets it up"
for i in 1 2; do
  ip -n n$i link set tunl0 up mtu 1480
  ip -n n$i addr add 10.244.$i.1/32 dev tunl0
done
start a1 n1 '{"options":{"encapsulation":"ipip"},"routes":{"10.244.2.0/26":["192.168.0.2"],"10.245.0.0/26":["192.168.0.2","192.168.0.3"]}}'
start a2 n2 '{"options":{"encapsulation":"ipip"},"routes":{"10.244.1.0/26":["192.168.0.1"]}}'
ip -n n1 route show proto 179 >"$OUT/a-routes"
ping_through_tunnel a 5
ip -n n1 link set tunl0 down
for i in $(seq 60); do
  [[ $(<"$OUT/a1.log") == *'is down'* ]] && break
  sleep 0.5
done
ip -n n1 link set tunl0 up
until_route 10.244.2.0/26
until_route 10.245.0.0/26
ip -n n1 route show proto 179 >"$OUT/a-routes-again"
stop
ip -n n1 route show proto 179 >"$OUT/a-routes-end"
ip -n n1 -j -d addr show tunl0 >"$OUT/a-device-end"

echo "--- a tunnel device that we make, only across subnets"
for i in 1 2; do ip -n n$i link set tunl0 down; done
start b1 n1 '{"options":{"encapsulation":"ipip-cross-subnet","tunnelDevice":"nb0","tunnelAddress":"10.244.1.0/32","nodeAddresses":["10.0.1.1"]},
  "routes":{"10.244.2.0/26":["10.0.2.2"],"10.245.0.0/26":["192.168.0.2"]}}'
start b2 n2 '{"options":{"encapsulation":"ipip-cross-subnet","tunnelDevice":"nb0","tunnelAddress":"10.244.2.0/32","nodeAddresses":["10.0.2.2"]},
  "routes":{"10.244.1.0/26":["10.0.1.1"]}}'
ip -n n1 route show proto 179 >"$OUT/b-routes"
ip netns exec p1 ping -c 3 -i 0.2 -W 2 10.244.2.2 >"$OUT/b-ping"
echo $? >"$OUT/b-ping-status"
ip -n n1 -j -s -d addr show nb0 >"$OUT/b-device"
ip -n n1 link set nb0 down mtu 1300
until_route nb0
ip -n n1 -j -d addr show nb0 >"$OUT/b-device-again"
ip -n n1 route show proto 179 >"$OUT/b-routes-again"
stop

echo "--- two daemons with a BGP session between their nodes"
# watch NAMESPACE, then until_change NAMESPACE TEXT: reads what the kernel says of its routes until a line contains TEXT, or it is silent for 40 s.
declare -A changes
watch() {
  local input
  mkfifo "/run/changes-$1"
  ip -n "$1" -o monitor route >"/run/changes-$1" &
  monitors="$monitors $!"
  exec {input}<"/run/changes-$1"
  changes[$1]=$input
}
until_change() {
  local line
  while IFS= read -t 40 -r line <&"${changes[$1]}"; do
    printf '%s\n' "$line" >>"$OUT/d-changes-$1"
    [[ $line == *"$2"* ]] && return
  done
}
monitors=
for i in 1 2; do
  other=$((3 - i))
  # One side waits: a collision may cost a session that one side already has for Established, and so take the route away again.
  passive=$([ $i = 2 ] && echo true || echo false)
  ip -n n$i link set tunl0 up
  watch n$i
  cat >/run/d$i.yaml <<EOF
asn: 64512
routerId: 192.168.0.$i
listen: [{ address: 192.168.0.$i, port: 179 }]
api: { socket: /run/d$i.sock }
originate: [{ prefix: 10.244.$i.0/26, blackhole: true }]
neighbors: [{ name: n$other, address: 192.168.0.$other, asn: 64512, connectRetry: 1s, passive: $passive }]
fib: { accept: [10.244.0.0/16], encapsulation: ipip, tunnelDevice: tunl0 }
EOF
  ip netns exec n$i "$NODE" "$MAIN" run -c /run/d$i.yaml >"$OUT/d$i.log" 2>&1 &
  daemons[i]=$!
done
until_change n1 '10.244.2.0/26 via 192.168.0.2 dev tunl0'
until_change n2 '10.244.1.0/26 via 192.168.0.1 dev tunl0'
for i in 1 2; do ip -n n$i route show proto 179 >"$OUT/d-routes-n$i"; done
ping_through_tunnel d 5
"$NODE" "$MAIN" show rib --json --socket /run/d1.sock >"$OUT/d-rib"
kill "${daemons[2]}"
wait "${daemons[2]}"
echo $? >"$OUT/d-exit"
until_change n1 'Deleted 10.244.2.0/26'
ip -n n1 route show proto 179 >"$OUT/d-routes-alone"

if [ -n "$FRR" ]; then
  echo "--- zebra and bgpd of FRR in the place of the second daemon, with an IPIP device of their own"
  ip -n n2 route flush proto 179
  ip -n n2 link set tunl0 down
  ip -n n2 link add ipip0 type ipip local 192.168.0.2 remote 192.168.0.1
  ip -n n2 link set ipip0 up mtu 1480
  ip -n n2 addr add 10.244.2.1/32 dev ipip0
  ip -n n2 route add 10.244.1.1/32 dev ipip0
  # Both give up root for the user frr.
  mkdir -m 777 /run/frr-n2
  cat >/run/frr-n2/bgpd.conf <<EOF
frr defaults datacenter
route-map TUNNEL permit 10
 set ip next-hop 10.244.1.1
exit
router bgp 64512
 bgp router-id 192.168.0.2
 no bgp network import-check
 neighbor 192.168.0.1 remote-as 64512
 neighbor 192.168.0.1 passive
 address-family ipv4 unicast
  network 10.244.2.0/26
  neighbor 192.168.0.1 route-map TUNNEL in
 exit-address-family
EOF
  chmod 644 /run/frr-n2/bgpd.conf
  frr="--vty_socket /run/frr-n2 -z /run/frr-n2/z.api -P 0"
  ip netns exec n2 "$FRR/zebra" -f /dev/null -i /run/frr-n2/zebra.pid $frr >"$OUT/frr.log" 2>&1 &
  frr_pids=$!
  for i in $(seq 60); do
    [ -S /run/frr-n2/z.api ] && break
    sleep 0.5
  done
  ip netns exec n2 "$FRR/bgpd" -f /run/frr-n2/bgpd.conf -i /run/frr-n2/bgpd.pid -l 192.168.0.2 $frr >>"$OUT/frr.log" 2>&1 &
  frr_pids="$frr_pids $!"
  until_change n1 '10.244.2.0/26 via 192.168.0.2 dev tunl0'
  until_change n2 'dev ipip0 proto bgp'
  for i in 1 2; do ip -n n$i route >"$OUT/f-routes-n$i"; done
  ip netns exec n2 timeout 20 tcpdump -i eth0 -n -c 4 ip proto 4 >"$OUT/f-packets" 2>&1 &
  dump=$!
  while [[ $(<"$OUT/f-packets") != *listening* ]] && kill -0 $dump 2>/dev/null; do sleep 0.5; done
  ip netns exec p1 ping -c 3 -i 0.2 -W 2 10.244.2.2 >"$OUT/f-ping-n1"
  ip netns exec p2 ping -c 3 -i 0.2 -W 2 10.244.1.2 >"$OUT/f-ping-n2"
  wait $dump
  ip -n n2 -j -s link show ipip0 >"$OUT/f-device"
  kill $frr_pids
fi
kill "${daemons[1]}" $monitors
wait
exit 0
