// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables as they stand in configuration files
import fc from 'fast-check'
import t from 'tap'
import { SUPPORTED_KEYS } from '../../src/config/schema.js'
import { parse } from './support.js'

const word = fc.constantFrom(
  ...Object.values(SUPPORTED_KEYS).flat(),
  ...[
    'accept',
    'reject',
    '10.0.0.0/8',
    '10.0.0.1',
    '64512',
    '9s',
    '${X}',
    '${X:-1}',
    '&a',
    '*a',
    'true',
    '[',
    ']',
    '{',
    '}',
    ':',
    '-',
    ',',
  ],
  ...[
    '? ',
    '| ',
    '"',
    "'",
    '#',
    '\t',
    '%',
    '!',
    '<<',
    '__proto__',
    '-1',
    '1e400',
    '0x10',
    'null',
    '~',
    'ipv4-unicast',
    '\u0000',
    '\ud800',
  ],
)
const yamlish = fc
  .array(fc.tuple(word, fc.constantFrom(' ', ': ', '\n', '\n  ', '\n- ', ', ', '')), { maxLength: 60 })
  .map((parts) => parts.flat().join(''))

const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom<unknown>(
      null,
      true,
      false,
      0,
      1,
      -1,
      64512,
      1.5,
      '',
      '10.0.0.1',
      '10.0.0.0/8',
      '9s',
      'accept',
      'off',
      'fe80::1%e',
    ),
    fc.string({ maxLength: 8 }),
    fc.array(tie('any'), { maxLength: 4 }),
    fc.dictionary(fc.constantFrom(...Object.values(SUPPORTED_KEYS).flat()), tie('any'), { maxKeys: 5 }),
  ),
})).any

t.test('parseConfig never throws, and every problem has a place inside the file', async (t) => {
  const check = (text: string): void => {
    const result = parse(text)
    if (result.ok) return
    if (result.problems.length === 0) throw new Error('refused without a problem')
    const lines = text.split(/\r\n|\r|\n/).length
    for (const { line, message } of result.problems) {
      if (line < 0 || line > lines || message === '' || message.includes('undefined'))
        throw new Error(`${line}: ${message}`)
    }
  }
  fc.assert(fc.property(yamlish, check), { numRuns: 2000 })
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 200 }), check), { numRuns: 500 })
  fc.assert(
    fc.property(fc.dictionary(fc.constantFrom(...SUPPORTED_KEYS.top), value), (file) => check(JSON.stringify(file))),
    { numRuns: 2000 },
  )
  t.pass('4500 texts')
})
