/**
 * Edge: the tunnels of this node, of whatever kinds the configuration asks for, as one thing for the engine.
 */
import type { UdpTunnelConfig, VxlanConfig } from '../../config/types.js'
import type { FibFact } from '../driver.js'
import { createTunnelKeeper } from '../tunnel.js'
import { tunnelKinds } from './mode.js'
import type { Encapsulator, TunnelRules } from './types.js'
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
  readonly log: (fact: FibFact) => void
}

export function createEncapsulator(options: EncapsulatorOptions): Encapsulator {
  const keepIpip = createTunnelKeeper(options)
  let vxlan: VxlanKeeper | null = null
  let udp: UdpKeeper | null = null
  let said = ''
  /** What the keepers were made with: another mode may come with other settings. */
  let madeWith = { vxlan: '', udp: '' }

  const guard = async (first: boolean, work: () => Promise<void>): Promise<void> => {
    try {
      await work()
      said = ''
    } catch (error) {
      if (first) throw error
      const text = (error as Error).message
      if (text !== said) options.log({ event: 'warning', fields: { text } })
      said = text
    }
  }

  return {
    async keep(first, rules) {
      const kinds = tunnelKinds(rules.encapsulation)
      const settings = settingsOf(options, rules)
      const made = {
        vxlan: JSON.stringify(settings.vxlan),
        udp: JSON.stringify([settings.udp, settings.tunnelAddress]),
      }
      await keepIpip(first, rules)
      if (kinds.has('vxlan')) {
        if (vxlan !== null && made.vxlan !== madeWith.vxlan) {
          await vxlan.close()
          vxlan = null
        }
        vxlan ??= new VxlanKeeper(settings)
        madeWith = { ...madeWith, vxlan: made.vxlan }
        const keeper = vxlan
        await guard(first, () => keeper.keep())
      }
      if (kinds.has('udp')) {
        if (udp !== null && made.udp !== madeWith.udp) {
          await udp.close()
          udp = null
        }
        udp ??= new UdpKeeper(settings)
        madeWith = { ...madeWith, udp: made.udp }
        const keeper = udp
        await guard(first, () => keeper.keep())
      }
    },
    want(prefix, far) {
      vxlan?.want(prefix, far)
      udp?.want(prefix, far)
    },
    async prepare() {
      await vxlan?.prepare()
      await udp?.prepare()
    },
    async tidy(complete) {
      await vxlan?.tidy(complete)
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
