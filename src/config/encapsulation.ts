/**
 * The keys of `fib` that say how packets to other nodes are wrapped (IPv4 only), and in words what they mean.
 */
import type { Report } from './report.js'
import type { FibKeys } from './schema.js'
import type { KeyPath } from './source.js'
import type { Encapsulation, EncapsulationMode, FibConfig, OriginateRule, VxlanConfig } from './types.js'

export type TunnelConfig = Pick<FibConfig, 'encapsulation' | 'tunnelDevice' | 'tunnelAddress' | 'vxlan' | 'udp'>

/** Defaults filled in; contradictions are reported. `rules`: the base address of the first own IPv4 block is what Flannel gives to its devices. */
export function encapsulationOf(
  keys: FibKeys | undefined,
  rules: readonly OriginateRule[],
  report: Report,
): TunnelConfig {
  const encapsulation = keys?.encapsulation ?? 'never'
  checkRanges(encapsulation, report)
  const modes = encapsulationModes(encapsulation)
  const uses = (kind: 'ipip' | 'vxlan' | 'udp'): boolean => modes.some((mode) => mode.startsWith(kind))
  const noEffect = (key: string): void => {
    if (keys !== undefined && Object.hasOwn(keys, key) && keys[key as keyof FibKeys] !== undefined)
      report.note(['fib', key], `${key} has no effect while encapsulation does not ask for it`)
  }
  if (!uses('ipip') && !uses('udp')) noEffect('tunnelAddress')
  if (!uses('vxlan')) noEffect('vxlan')
  if (!uses('udp')) noEffect('udp')
  const layout = keys?.vxlan?.layout ?? 'flannel'
  const flannelAddress = blockAddress(rules)
  const vni = keys?.vxlan?.vni ?? LAYOUTS[layout].vni
  const vxlan: VxlanConfig = {
    layout,
    vni,
    port: keys?.vxlan?.port ?? LAYOUTS[layout].port,
    device: keys?.vxlan?.device ?? (layout === 'calico' ? 'vxlan.calico' : `flannel.${vni}`),
    // Calico gives a block's base address to Pods too; Flannel never does.
    address: keys?.vxlan?.address ?? (uses('vxlan') && layout === 'flannel' ? flannelAddress : null),
    mac: keys?.vxlan?.mac ?? null,
  }
  if (vxlan.address !== null && keys?.vxlan?.address !== undefined && !/^[\d.]+\/32$/.test(vxlan.address))
    report.problem(['fib', 'vxlan', 'address'], `a VTEP address is one IPv4 address (/32), not ${vxlan.address}`)
  if (uses('vxlan') && vxlan.address === null)
    report.note(
      ['fib', 'vxlan'],
      'no vxlan.address: Pods reach each other, but this node itself reaches no Pod through the tunnel',
    )
  if (vxlan.device.length > 15)
    report.problem(['fib', 'vxlan'], `the device name ${vxlan.device} is longer than 15 characters; set vxlan.device`)
  const tunnelDevice = keys?.tunnelDevice ?? 'tunl0'
  const udp = { device: keys?.udp?.device ?? 'flannel0', port: keys?.udp?.port ?? 8285 }
  if (uses('udp'))
    report.note(
      ['fib', 'encapsulation'],
      'udp passes every packet through this process: some 100 Mbit/s; take vxlan or ipip where the kernel has them',
    )
  checkDevices({ ipip: tunnelDevice, vxlan: vxlan.device, udp: udp.device }, uses, report)
  const tunnelAddress = keys?.tunnelAddress ?? (uses('udp') ? flannelAddress : null)
  return { encapsulation, tunnelDevice, tunnelAddress, vxlan, udp }
}

/** The modes that occur, each once. */
export function encapsulationModes(encapsulation: Encapsulation): readonly EncapsulationMode[] {
  if (typeof encapsulation === 'string') return [encapsulation]
  return [...new Set(encapsulation.map(({ mode }) => mode))]
}

/** `, ipip through tunl0`; empty where nothing is wrapped. */
export function explainEncapsulation({ encapsulation, tunnelDevice, vxlan, udp }: TunnelConfig): string {
  const device = (mode: EncapsulationMode): string => {
    if (mode.startsWith('vxlan')) return ` through ${vxlan.device} (VNI ${vxlan.vni}, port ${vxlan.port})`
    return mode === 'udp'
      ? ` through ${udp.device} (port ${udp.port})`
      : mode === 'never'
        ? ''
        : ` through ${tunnelDevice}`
  }
  if (typeof encapsulation === 'string')
    return encapsulation === 'never' ? '' : `, ${encapsulation}${device(encapsulation)}`
  return encapsulation.map(({ within, mode }) => `, ${within.text} ${mode}${device(mode)}`).join('')
}

function checkRanges(encapsulation: Encapsulation, report: Report): void {
  if (typeof encapsulation === 'string') return
  const at = (index: number): KeyPath => ['fib', 'encapsulation', index, 'within']
  if (encapsulation.length === 0)
    report.problem(['fib', 'encapsulation'], 'expected at least one range: [{ within: 10.244.0.0/16, mode: vxlan }]')
  for (const [index, { within, mode }] of encapsulation.entries()) {
    if (within.family !== 0 && mode !== 'never')
      report.problem(at(index), `${within.text} is IPv6, and tunnels are for IPv4 only: IPv6 routes are written plain`)
    const first = encapsulation.findIndex((other) => other.within.text === within.text)
    if (first < index) report.problem(at(index), `${within.text} stands here twice; keep one of them`)
  }
}

function checkDevices(
  devices: Readonly<Record<'ipip' | 'vxlan' | 'udp', string>>,
  uses: (kind: 'ipip' | 'vxlan' | 'udp') => boolean,
  report: Report,
): void {
  const used = (Object.keys(devices) as (keyof typeof devices)[]).filter(uses)
  const twice = used.find((kind) => used.some((other) => other !== kind && devices[other] === devices[kind]))
  if (twice !== undefined)
    report.problem(['fib'], `the device ${devices[twice]} is asked for by two kinds of tunnels; name another`)
}

function blockAddress(rules: readonly OriginateRule[]): string | null {
  for (const rule of rules) {
    if (rule.kind !== 'static' || rule.prefix.family !== 0 || rule.prefix.length >= 32) continue
    return `${rule.prefix.text.split('/')[0]}/32`
  }
  return null
}

/** Flannel: VNI 1 on the port that the kernel had before IANA gave one. Calico: 4096 on IANA's. */
const LAYOUTS = { flannel: { vni: 1, port: 8472 }, calico: { vni: 4096, port: 4789 } } as const
