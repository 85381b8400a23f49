/** splitUpdate as one would write it first: with bounded readers and slices. Reference for the property test. */
import { BoundsError, Reader } from '../../../src/bgp/wire/reader.js'
import { toHex } from './samples.js'

export interface SimpleParts {
  readonly withdrawn: string
  readonly attributes: string
  readonly nlri: string
  /** AFI, SAFI, next hop, NLRI. */
  readonly reach: readonly [number, number, string, string] | null
  readonly unreach: readonly [number, number, string] | null
  readonly faulty: boolean
}

/** Next hop and NLRI of a family that is not used, as far as they are there. */
function unusedReach(value: Uint8Array): [string, string] {
  const length = value[3] ?? 0
  const all = toHex(value)
  return value.length < 5 + length ? ['', all.slice(8)] : [all.slice(8, 8 + length * 2), all.slice(10 + length * 2)]
}

/** The parts as hex, or the NOTIFICATION as `code/subcode`. */
export function splitUpdateSimply(message: Uint8Array, families: readonly number[] = [1, 2]): SimpleParts | string {
  const reader = new Reader(message, 19)
  let withdrawn: Uint8Array
  let attributes: Uint8Array
  try {
    withdrawn = reader.bytes(reader.u16())
    attributes = reader.bytes(reader.u16())
  } catch (error) {
    if (error instanceof BoundsError) return '3/1'
    throw error
  }
  const nlri = reader.rest()
  let reach: SimpleParts['reach'] = null
  let unreach: SimpleParts['unreach'] = null
  let faulty = false
  let count = 0
  const block = new Reader(attributes)
  while (block.remaining > 0) {
    let flags: number
    let type: number
    let value: Uint8Array
    try {
      flags = block.u8()
      type = block.u8()
      value = block.bytes((flags & 0x10) === 0 ? block.u8() : block.u16())
    } catch (error) {
      if (!(error instanceof BoundsError)) throw error
      faulty = true
      count++
      break
    }
    count++
    if (type !== 14 && type !== 15) continue
    if ((type === 14 ? reach : unreach) !== null) return '3/1'
    if ((flags & 0xc0) !== 0x80) faulty = true
    const field = new Reader(value)
    try {
      const afi = field.u16()
      const safi = field.u8()
      if (type === 15) {
        unreach = [afi, safi, toHex(field.rest())]
        continue
      }
      if (safi !== 1 || !families.includes(afi)) {
        reach = [afi, safi, ...unusedReach(value)]
        continue
      }
      const nextHop = field.bytes(field.u8())
      field.u8()
      if (safi === 1 && afi === 1 && nextHop.length !== 4) return '3/9'
      if (safi === 1 && afi === 2 && nextHop.length !== 16 && nextHop.length !== 32) return '3/9'
      reach = [afi, safi, toHex(nextHop), toHex(field.rest())]
    } catch (error) {
      if (error instanceof BoundsError) return '3/9'
      throw error
    }
  }
  const reachable = nlri.length > 0 || (reach !== null && reach[3] !== '')
  if (faulty && !reachable && !(count === 1 && unreach !== null)) return '3/1'
  return { withdrawn: toHex(withdrawn), attributes: toHex(attributes), nlri: toHex(nlri), reach, unreach, faulty }
}
