/**
 * One fault of a neighbour: what was wrong by which rule, what was done, and the octets to look at.
 */
import type { ErrorView } from '../../api/types.js'
import { type Colour, fields, paint, printable, type Style } from '../format.js'

export function formatError(error: ErrorView, style: Style): string {
  const { count, notification, octetsLength, prefixCount } = error
  const times = count === 1 ? '' : `, ${count} times since ${error.firstTime}`
  const sent =
    notification === null ? '' : `, NOTIFICATION ${notification.code}/${notification.subcode} (${notification.name})`
  const action = paint(error.action, COLOURS[error.action], style)
  return (
    `${error.time} ${printable(error.peer)} (${printable(error.address)}): ${action}${sent}${times}\n` +
    fields(
      [
        [
          'Message',
          error.messageLength === 0
            ? error.message
            : `${error.message} of ${error.messageLength} octets (--json has them)`,
        ],
        ['Attribute', error.attribute === null ? null : `${error.attributeName} (${error.attribute})`],
        ['Reason', error.reason],
        ['Rule', error.rule || null],
        ['Octets', octetsLength === 0 ? null : octetsText(error.octets, octetsLength)],
        ['Prefixes', prefixCount === 0 ? null : prefixText(error.prefixes, prefixCount)],
      ],
      '  ',
    )
  )
}

function octetsText(hex: string, length: number): string {
  return hex.length / 2 === length ? hex : `${hex} and ${length - hex.length / 2} more octets`
}

function prefixText(prefixes: readonly string[], count: number): string {
  const rest = count - prefixes.length
  return prefixes.join(', ') + (rest > 0 ? ` and ${rest} more` : '')
}

const COLOURS: Readonly<Record<ErrorView['action'], Colour>> = {
  'session-reset': 'red',
  'treat-as-withdraw': 'yellow',
  'attribute-discard': 'yellow',
  'family-ignored': 'dim',
}
