/**
 * The speaker under test. NODEBGP_INTEROP_SUBJECT=bird (or frr, gobgp, openbgpd) puts another speaker in our place: a control that tells
 * whether an expectation is wrong or we are.
 */
import { type ForeignKind, foreign } from './daemons/index.js'
import type { Speaker, SpeakerSpec } from './daemons/speaker.js'
import { Nodebgp } from './nodebgp.js'

const control = process.env['NODEBGP_INTEROP_SUBJECT']

export const isControl = control !== undefined && control !== 'nodebgp'

export function subject(spec: SpeakerSpec): Speaker {
  return isControl ? foreign(control as ForeignKind, spec) : new Nodebgp(spec)
}
