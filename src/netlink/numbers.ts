/** Numbers of netlink and rtnetlink (linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/neighbour.h), as far as they are used. */

/** nlmsg_type. */
export const MessageType = Object.freeze({
  NOOP: 1,
  ERROR: 2,
  DONE: 3,
  OVERRUN: 4,
  NEWLINK: 16,
  DELLINK: 17,
  GETLINK: 18,
  NEWADDR: 20,
  DELADDR: 21,
  GETADDR: 22,
  NEWROUTE: 24,
  DELROUTE: 25,
  GETROUTE: 26,
  NEWNEIGH: 28,
  DELNEIGH: 29,
  DELNEXTHOP: 105,
} as const)

/** nlmsg_flags. Some bits have another meaning in requests for tables, requests for changes, and replies. */
export const MessageFlag = Object.freeze({
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  ECHO: 0x8,
  /** A table changed while it was read. */
  DUMP_INTR: 0x10,
  DUMP_FILTERED: 0x20,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCL: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
  /** In an error: the request is not repeated in it. */
  CAPPED: 0x100,
  /** In an error: attributes with more words follow. */
  ACK_TLVS: 0x200,
} as const)

/** rtm_type. */
export const RouteType = Object.freeze({
  UNSPEC: 0,
  UNICAST: 1,
  LOCAL: 2,
  BROADCAST: 3,
  ANYCAST: 4,
  MULTICAST: 5,
  BLACKHOLE: 6,
  UNREACHABLE: 7,
  PROHIBIT: 8,
  THROW: 9,
} as const)

/** rtm_scope. */
export const RouteScope = Object.freeze({ UNIVERSE: 0, LINK: 253, HOST: 254, NOWHERE: 255 } as const)

/** rtnh_flags, also in rtm_flags where a route has a single hop. */
export const HopFlag = Object.freeze({ DEAD: 1, ONLINK: 4, LINKDOWN: 16 } as const)

/** rtm_flags. */
export const RouteFlag = Object.freeze({ CLONED: 0x200 } as const)

/** rta_type. */
export const RouteAttribute = Object.freeze({
  DST: 1,
  OIF: 4,
  GATEWAY: 5,
  PRIORITY: 6,
  PREFSRC: 7,
  MULTIPATH: 9,
  TABLE: 15,
  VIA: 18,
  NH_ID: 30,
} as const)

export const LinkAttribute = Object.freeze({
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINKINFO: 18,
  IFALIAS: 20,
  EXT_MASK: 29,
  INFO_KIND: 1,
} as const)

/** ifi_flags. */
export const LinkFlag = Object.freeze({ UP: 1, LOOPBACK: 8, LOWER_UP: 0x10000 } as const)

export const AddressAttribute = Object.freeze({ ADDRESS: 1, LOCAL: 2 } as const)

export const AddressFamily = Object.freeze({ UNSPEC: 0, INET: 2, BRIDGE: 7, INET6: 10 } as const)

/** Multicast groups as bits of nl_groups. */
export const Group = Object.freeze({
  LINK: 0x1,
  NEIGH: 0x4,
  IPV4_IFADDR: 0x10,
  IPV4_ROUTE: 0x40,
  IPV6_IFADDR: 0x100,
  IPV6_ROUTE: 0x400,
  NEXTHOP: 0x8000_0000,
} as const)
