/**
 * Reading the value of one capability: as a whole or not at all.
 */
import type { Capability } from '../message/message.js'
import { BoundsError, Reader } from '../wire/reader.js'

/** What `read` made of the value; undefined where that is cut, or longer than what it holds. */
export function readWhole<T>({ value }: Capability, read: (reader: Reader) => T | undefined): T | undefined {
  try {
    const reader = new Reader(value)
    const found = read(reader)
    return reader.remaining === 0 ? found : undefined
  } catch (error) {
    if (error instanceof BoundsError) return undefined
    throw error
  }
}

/** Items until the value ends; each reads at least one octet. */
export function list<T>(reader: Reader, item: (reader: Reader) => T): T[] {
  const items: T[] = []
  while (reader.remaining > 0) items.push(item(reader))
  return items
}
