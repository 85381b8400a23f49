/**
 * Edge: the tunnels of this node, of whatever kinds the configuration asks for, as one thing for the engine.
 */
import type { UdpTunnelConfig, VxlanConfig } from '../../config/types.js'
import type { FibFact, NeighbourWatch } from '../driver.js'
import { createTunnelKeeper, OtherDeviceError } from '../tunnel.js'
import { tunnelKinds } from './mode.js'
import type { Encapsulator, TunnelRules, TunnelTrouble } from './types.js'
import { UdpKeeper } from './udp.js'
import { VxlanKeeper } from './vxlan.js'

export interface EncapsulatorOptions {
  readonly netns: string | null
  /** The first one that is on a device is the source of outer packets. */
  readonly nodeAddresses: readonly string[]
  /** For an IPIP or TUN device that we make: `10.244.1.0/32`. */
  readonly tunnelAddress: string | null
  readonly vxlan: VxlanConfig
  readonly udp: UdpTunnelConfig
  /** Null: the kernel driver does not tell of neighbours. */
  readonly watchNeighbours: NeighbourWatch | null
  readonly log: (fact: FibFact) => void
}

export function createEncapsulator(options: EncapsulatorOptions): Encapsulator {
  const keepIpip = createTunnelKeeper(options)
  let vxlan: VxlanKeeper | null = null
  let udp: UdpKeeper | null = null
  /** By device: those of which the log says that something is wrong. */
  let troubles: ReadonlyMap<string, TunnelTrouble> = new Map()
  /** What the keepers were made with: another mode may come with other settings. */
  let madeWith = { vxlan: '', udp: '' }
  let kinds = tunnelKinds('never')

  /**
   * A VXLAN device that no range asks for any more is no longer looked after, once no route needs it. It stays, as other nodes may still send through it; and so does
   * the UDP forwarder, which is what receives their packets.
   */
  const leave = async (): Promise<void> => {
    if (vxlan === null || kinds.has('vxlan') || !vxlan.isUnused) return
    const left = vxlan
    vxlan = null
    await left.close()
  }

  /** What is wrong, told once per change; null: nothing. */
  const guard = async (first: boolean, device: string, work: () => Promise<void>): Promise<TunnelTrouble | null> => {
    const before = troubles.get(device)
    try {
      await work()
    } catch (error) {
      if (first) throw error
      const words = (error as Error).message
      if (words !== before?.words) options.log({ event: 'warning', fields: { text: words } })
      return { words, isOther: error instanceof OtherDeviceError }
    }
    if (before !== undefined)
      options.log({ event: 'notice', fields: { text: `the tunnel device ${device} can be used again` } })
    return null
  }

  return {
    async keep(first, rules) {
      kinds = tunnelKinds(rules.encapsulation)
      const settings = settingsOf(options, rules)
      const made = {
        vxlan: JSON.stringify(settings.vxlan),
        udp: JSON.stringify([settings.udp, settings.tunnelAddress]),
      }
      const found = new Map<string, TunnelTrouble>()
      const keep = async (device: string, work: () => Promise<void>): Promise<void> => {
        const trouble = await guard(first, device, work)
        if (trouble !== null) found.set(device, trouble)
      }
      if (kinds.has('ipip')) await keep(rules.tunnelDevice, () => keepIpip(rules))
      if (kinds.has('vxlan')) {
        if (vxlan !== null && made.vxlan !== madeWith.vxlan) {
          await vxlan.close()
          vxlan = null
        }
        vxlan ??= new VxlanKeeper(settings)
        madeWith = { ...madeWith, vxlan: made.vxlan }
        const keeper = vxlan
        await keep(settings.vxlan.device, () => keeper.keep())
      }
      if (kinds.has('udp')) {
        if (udp !== null && made.udp !== madeWith.udp) {
          await udp.close()
          udp = null
        }
        udp ??= new UdpKeeper(settings)
        madeWith = { ...madeWith, udp: made.udp }
        const keeper = udp
        await keep(settings.udp.device, () => keeper.keep())
      }
      troubles = found
    },
    get troubles() {
      return troubles
    },
    want(to, far) {
      vxlan?.want(to.prefix, far)
      udp?.want(to.prefix, far)
    },
    async prepare() {
      await vxlan?.prepare()
      await udp?.prepare()
    },
    async tidy(complete) {
      await vxlan?.tidy(complete)
      if (complete) await leave()
    },
    ownVtep: () => vxlan?.ownVtep ?? null,
    async close() {
      await vxlan?.close()
      await udp?.close()
    },
  }
}

/** As the configuration is now. */
function settingsOf(options: EncapsulatorOptions, { vxlan, udp, tunnelAddress }: TunnelRules): EncapsulatorOptions {
  return {
    ...options,
    vxlan: { ...options.vxlan, ...vxlan },
    udp: { ...options.udp, ...udp },
    tunnelAddress: tunnelAddress === undefined ? options.tunnelAddress : tunnelAddress,
  }
}
