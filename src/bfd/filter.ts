/**
 * A classic BPF program for UDP sockets that lets through only what came with hop limit 255, hence from this link (RFC 5881 §5, RFC 5082). Node.js tells the
 * receiver of a datagram nothing of its hop limit, and IP_MINTTL is looked at for TCP only.
 */

/** struct sock_filter[]: each code, jump if true, jump if false, constant. In the order of this machine. */
export function hopLimitFilter(family: 4 | 6): Uint8Array {
  const program: readonly (readonly [number, number, number, number])[] = [
    [LOAD_OCTET, 0, 0, NETWORK_HEADER + (family === 4 ? TTL_OFFSET : HOP_LIMIT_OFFSET)],
    [JUMP_IF_EQUAL, 0, 1, 255],
    [RETURN, 0, 0, ALL],
    [RETURN, 0, 0, 0],
  ]
  const octets = new Uint8Array(program.length * INSTRUCTION_OCTETS)
  const view = new DataView(octets.buffer)
  program.forEach(([code, yes, no, constant], index) => {
    const at = index * INSTRUCTION_OCTETS
    view.setUint16(at, code, LITTLE)
    octets[at + 2] = yes
    octets[at + 3] = no
    view.setUint32(at + 4, constant, LITTLE)
  })
  return octets
}

const LITTLE = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1
const INSTRUCTION_OCTETS = 8
/** BPF_LD | BPF_B | BPF_ABS, BPF_JMP | BPF_JEQ | BPF_K, BPF_RET | BPF_K. */
const LOAD_OCTET = 0x30
const JUMP_IF_EQUAL = 0x15
const RETURN = 0x06
const ALL = 0xffff
/** SKF_NET_OFF: offsets from here count from the network header, although the filter of a UDP socket begins at the UDP header. */
const NETWORK_HEADER = 0xfff0_0000
const TTL_OFFSET = 8
const HOP_LIMIT_OFFSET = 7
