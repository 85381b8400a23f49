import fc from 'fast-check'
import t from 'tap'
import { maxPathText, parsePathPattern } from '../../src/rib/policy-pattern.js'

function matches(source: string, text: string): boolean {
  const result = parsePathPattern(source)
  if (!result.ok) throw new Error(result.message)
  return result.pattern.test(text)
}

t.test('patterns as operators write them', async (t) => {
  const path = '65001 64512 {65010,65011} (1 2)'
  const yes = [
    '',
    '^65001',
    '^65001( |$)',
    '_64512_',
    '_65010_',
    '_1 2_',
    '64512',
    '^6500[1-3] ',
    '^\\d+ 64512',
    '\\(1',
    '2\\)$',
    '.{31}$',
    '65001 (64512|7)',
    '{65010',
    '[^0-9]{2}1',
  ]
  const no = [
    '^65001$',
    '_4512_',
    '^64512',
    '_65012_',
    '65001{2}',
    '.{32}',
    '^$',
    '[a-z]',
    '65001 (8|7)',
    '\\D\\D\\D\\D',
  ]
  for (const source of yes) t.ok(matches(source, path), source)
  for (const source of no) t.notOk(matches(source, path), source)
  t.ok(matches('^$', ''), 'the empty path')
  t.ok(matches('^_$', ''), 'start and end are delimiters')
  t.ok(matches('(^| )1( |$)', '2 1'))
})

t.test('what cannot be used says why', async (t) => {
  const cases: readonly (readonly [source: string, message: RegExp])[] = [
    ['(', /without '\)'/],
    [')', /without '\('/],
    ['[1', /without '\]'/],
    ['*1', /nothing before it/],
    ['1{3,2}', /wrong way round/],
    ['[9-0]', /wrong way round/],
    ['(?=1)', /look-around/],
    ['\\b', /not supported/],
    ['\\1', /not supported/],
    ['1\\', /at the end/],
    ['é', /ASCII/],
    ['((((1{99}){99}){99}){99})', /too large/],
    ['(((((((){999}){999}){999}){999}){999}){999})', /too large/],
    ['('.repeat(100), /inside each other/],
    ['1'.repeat(257), /257/],
  ]
  for (const [source, message] of cases) {
    const result = parsePathPattern(source)
    t.equal(result.ok, false, source)
    if (!result.ok) t.match(result.message, message, source)
  }
})

t.test('equal to RegExp on small patterns and texts', async (t) => {
  const atom = fc.constantFrom('1', '2', ' ', '.', '[12]', '[^1]', '\\d', '\\s', '\\D', '^', '$')
  const source = fc.letrec<{ any: string }>((tie) => ({
    any: fc.oneof(
      { maxDepth: 4 },
      atom,
      fc
        .tuple(fc.constantFrom('1', '2', '.', '[1 ]'), fc.constantFrom('*', '+', '?', '{2}', '{1,2}', '{0,}'))
        .map((parts) => parts.join('')),
      fc.tuple(tie('any'), tie('any')).map((parts) => parts.join('')),
      fc.tuple(tie('any'), tie('any')).map(([a, b]) => `(${a}|${b})`),
      fc.tuple(tie('any'), fc.constantFrom('*', '+', '?', '{2}')).map(([a, q]) => `(?:${a})${q}`),
    ),
  })).any
  const text = fc.array(fc.constantFrom('1', '2', ' ', ','), { maxLength: 8 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(source, text, (pattern, input) => matches(pattern, input) === new RegExp(pattern).test(input)),
    { numRuns: 5000 },
  )
  t.pass('5000 pairs')
})

t.test('work is bounded: steps alive never exceed the pattern, whatever the text', async (t) => {
  // RegExp needs 2^30 and more steps for each of these.
  const text = `${'1'.repeat(maxPathText)}x`
  t.notOk(matches('^(1+)+$', text.slice(0, 5000) + 'x'))
  t.notOk(matches('^(1|1|11)*$', `${'1'.repeat(5000)}x`))
  t.ok(matches('^1', text), 'a longer text is matched by its beginning')
  t.notOk(matches('1$', '1'.repeat(maxPathText + 1)), 'and has no end')
})
