/**
 * What is to be done or said about a VXLAN or TUN device (pure). One that we made (alias `nodebgp`) is repaired, and made again where what differs cannot be
 * changed; of any other, such as Felix's vxlan.calico, we only say what is wrong.
 */
import type { VxlanConfig } from '../../config/types.js'
import type { LinkJson } from '../tunnel.js'
import { isOurs } from './ours.js'

/** A device as it is to be. */
export interface WantedVxlan extends Pick<VxlanConfig, 'device' | 'vni' | 'port' | 'address'> {
  readonly mac: string | null
  /** Source of the outer packets. */
  readonly local: string | null
  /** 0: not known. */
  readonly parentMtu: number
}

export interface DeviceVerdict {
  /** The device has to be deleted and made again. */
  readonly remake: boolean
  /** Arguments of `ip`. */
  readonly repairs: readonly string[]
  /** Words for people, for a device of somebody else's. */
  readonly problems: readonly string[]
}

export function judgeVxlan(link: LinkJson, wanted: WantedVxlan): DeviceVerdict {
  const name = link.ifname
  const kind = link.linkinfo?.info_kind ?? 'unknown'
  if (kind !== 'vxlan')
    return foreign([`device ${name} is of type ${kind}, not vxlan; set fib.vxlan.device to another name`])
  const { id, port, local, learning } = link.linkinfo?.info_data ?? {}
  const problems: string[] = []
  if (id !== wanted.vni) problems.push(`has VNI ${id}, not ${wanted.vni} (fib.vxlan.vni)`)
  if (port !== wanted.port) problems.push(`uses port ${port}, not ${wanted.port} (fib.vxlan.port)`)
  if (learning === true) problems.push('learns addresses from packets (it has to be made with nolearning)')
  if (!isOurs(link)) {
    const mtu = wanted.parentMtu - VXLAN_OVERHEAD
    if (wanted.parentMtu > 0 && link.mtu > mtu)
      problems.push(`has MTU ${link.mtu}, above ${mtu} (${wanted.parentMtu} of its parent less ${VXLAN_OVERHEAD})`)
    if (ipv4Of(link).length === 0) problems.push('has no IPv4 address: this node itself reaches no Pod through it')
    if (!link.flags.includes('UP'))
      problems.push(`is down: routes through it cannot be written (ip link set ${name} up)`)
    return foreign(problems.map((problem) => `device ${name} ${problem}`))
  }
  const moved = wanted.local !== null && local !== wanted.local
  if (problems.length > 0 || moved) return { remake: true, repairs: [], problems: [] }
  const repairs = repairsOf(link, wanted.address, wanted.parentMtu > 0 ? wanted.parentMtu - VXLAN_OVERHEAD : 0)
  if (wanted.mac !== null && link.address !== wanted.mac) repairs.unshift(`link set dev ${name} address ${wanted.mac}`)
  return { remake: false, repairs, problems: [] }
}

/** A TUN device is always ours: it lives as long as we hold it open. */
export function judgeTun(link: LinkJson, address: string | null, parentMtu: number): readonly string[] {
  return repairsOf(link, address, parentMtu > 0 ? parentMtu - UDP_OVERHEAD : 0)
}

/** `link add …` of `ip` for a new device. */
export function vxlanCommand(wanted: WantedVxlan, parentDevice: string | null): string {
  const words = [`link add name ${wanted.device} type vxlan id ${wanted.vni}`]
  if (parentDevice !== null) words.push(`dev ${parentDevice}`)
  if (wanted.local !== null) words.push(`local ${wanted.local}`)
  words.push(`dstport ${wanted.port} nolearning`)
  return words.join(' ')
}

/** IPv4 addresses with their lengths. */
export function ipv4Of(link: LinkJson): readonly string[] {
  return (link.addr_info ?? []).filter((one) => one.family === 'inet').map((one) => `${one.local}/${one.prefixlen}`)
}

/** `mtu` 0: as it is. */
function repairsOf(link: LinkJson, address: string | null, mtu: number): string[] {
  const name = link.ifname
  const repairs: string[] = []
  if (mtu > 0 && link.mtu !== mtu) repairs.push(`link set dev ${name} mtu ${mtu}`)
  if (address !== null && !ipv4Of(link).includes(address)) repairs.push(`address add ${address} dev ${name}`)
  if (!link.flags.includes('UP')) repairs.push(`link set dev ${name} up`)
  return repairs
}

function foreign(problems: readonly string[]): DeviceVerdict {
  return { remake: false, repairs: [], problems }
}

/** Outer IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14. */
export const VXLAN_OVERHEAD = 50
/** Outer IPv4 20, UDP 8. */
export const UDP_OVERHEAD = 28
