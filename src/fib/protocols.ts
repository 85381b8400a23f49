/** Names of route protocol numbers (linux/rtnetlink.h), for people. */
export function protocolName(protocol: number): string {
  const name = NAMES[protocol]
  return name === undefined ? String(protocol) : `${name} (${protocol})`
}

const NAMES: Readonly<Record<number, string>> = Object.freeze({
  1: 'redirect',
  2: 'kernel',
  3: 'boot',
  4: 'static',
  9: 'ra',
  11: 'zebra',
  12: 'bird',
  16: 'dhcp',
  17: 'mrouted',
  18: 'keepalived',
  80: 'felix',
  186: 'bgp',
})
