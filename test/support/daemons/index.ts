/** All speakers that nodebgp is tested against, by name. */
import { Bird } from './bird.js'
import { ExaBgp } from './exabgp.js'
import { Frr } from './frr.js'
import { GoBgp } from './gobgp.js'
import { OpenBgpd } from './openbgpd.js'
import type { Speaker, SpeakerKind, SpeakerSpec } from './speaker.js'

export type ForeignKind = Exclude<SpeakerKind, 'nodebgp'>

/** Commands that have to be there, and the Debian package that brings them. */
export const REQUIREMENTS: Readonly<
  Record<ForeignKind, { readonly commands: readonly string[]; readonly package: string }>
> = {
  bird: { commands: ['bird', 'birdc'], package: 'bird2' },
  frr: { commands: ['/usr/lib/frr/bgpd', 'vtysh'], package: 'frr' },
  gobgp: { commands: ['gobgpd', 'gobgp'], package: 'gobgpd' },
  openbgpd: { commands: ['/usr/sbin/bgpd', 'bgpctl'], package: 'openbgpd' },
  exabgp: { commands: ['exabgp', 'python3'], package: 'exabgp' },
}

export function foreign(kind: ForeignKind, spec: SpeakerSpec): Speaker {
  switch (kind) {
    case 'bird':
      return new Bird(spec)
    case 'frr':
      return new Frr(spec)
    case 'gobgp':
      return new GoBgp(spec)
    case 'openbgpd':
      return new OpenBgpd(spec)
    case 'exabgp':
      return new ExaBgp(spec)
  }
}
