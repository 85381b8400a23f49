/** The samples of fixtures/messages (see fixtures/README.md). */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { projectRoot } from '../../support/root.js'

export interface Sample {
  readonly name: string
  readonly bytes: Uint8Array
  readonly options: Readonly<Record<string, unknown>>
  /** An encoder makes exactly these octets. */
  readonly canonical: boolean
  readonly answer: {
    readonly result: string
    readonly notify: unknown
    readonly decoded: Record<string, unknown> | null
  }
}

const folder = join(projectRoot, 'fixtures', 'messages')

export const samples: readonly Sample[] = readdirSync(folder)
  .filter((file) => file.endsWith('.hex'))
  .map((file) => {
    const name = file.slice(0, -4)
    const digits = readFileSync(join(folder, file), 'utf8').replace(/#.*/g, '').replace(/\s/g, '')
    const rest = JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8')) as Omit<Sample, 'name' | 'bytes'>
    return { name, bytes: fromHex(digits), ...rest }
  })

export function fromHex(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text.replace(/\s/g, ''), 'hex'))
}

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex')
}

/** A whole UPDATE of hex parts; the lengths are filled in. */
export function update(withdrawn: string, attributes: string, nlri: string): Uint8Array {
  const parts = [withdrawn, attributes, nlri].map(fromHex)
  const length = 23 + parts.reduce((sum, part) => sum + part.length, 0)
  const u16 = (value: number): string => value.toString(16).padStart(4, '0')
  return fromHex(
    `${'ff'.repeat(16)}${u16(length)}02${u16(parts[0]!.length)}${toHex(parts[0]!)}${u16(parts[1]!.length)}${toHex(parts[1]!)}${toHex(parts[2]!)}`,
  )
}
