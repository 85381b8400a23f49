/** The counter behind `N passed, N failed, N skipped`: against TAP as the runner prints it. */
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { projectRoot } from '../support/root.js'

interface Results {
  readonly passed: number
  readonly failed: number
  readonly skipped: readonly { readonly name: string; readonly reason: string }[]
  write(text: string): void
  end(): void
}
interface Failure {
  readonly name: string
  readonly why: string
  readonly diagnostics: readonly string[]
}

const { TapResults } = (await import(pathToFileURL(join(projectRoot, 'scripts/tap-results.mjs')).href)) as {
  TapResults: new (listeners: { onFailure: (failure: Failure) => void }) => Results
}

t.test('counts assertions, not the summaries of subtests', async (t) => {
  const { results } = read(`
TAP version 14
# Subtest: dist/test/a.test.js
    # Subtest: outer
        ok 1 - x
        # Subtest: inner
            ok 1 - one {
            1..1
        ok 2 - inner # time=3.104ms
        1..2
    ok 1 - outer # time=7.5ms
    # Subtest: asserts nothing
        1..0
    ok 2 - asserts nothing # time=0.4ms
    1..2
ok 1 - dist/test/a.test.js # time=41ms
1..1`)
  t.match(results, { passed: 3, failed: 0, skipped: [] })
})

t.test('a failure is counted once, with its diagnostics; TAP inside of those is not read', async (t) => {
  const { results, failures } = read(`
# Subtest: dist/test/a.test.js
    # Subtest: bad
        not ok 1 - dif \\# of
          ---
          diff: |
            ok 7 - is only quoted
          ...
        ok 2 - good
        1..2
    not ok 1 - bad # time=23ms
      ---
      at: somewhere
      ...
    1..1
not ok 1 - dist/test/a.test.js # time=41ms`)
  t.match(results, { passed: 1, failed: 1 })
  t.match(failures, [
    { name: 'dist/test/a.test.js > bad > dif # of', diagnostics: ['diff: |', '  ok 7 - is only quoted'] },
  ])
  t.equal(failures.length, 1)
})

t.test('skipped tests keep their names and reasons', async (t) => {
  const { results } = read(`
# Subtest: dist/test/a.test.js
    ok 1 - requirements # SKIP gobgpd not found: apt-get install gobgpd
    ok 2 - later # TODO
    1..2
ok 1 - dist/test/a.test.js # time=41ms`)
  t.match(results, { passed: 0, failed: 0 })
  t.same(results.skipped, [
    { name: 'dist/test/a.test.js > requirements', reason: 'gobgpd not found: apt-get install gobgpd' },
    { name: 'dist/test/a.test.js > later', reason: 'todo' },
  ])
})

t.test('a file that crashes, cannot be loaded or runs no test is a failure', async (t) => {
  const { results, failures } = read(`
# Subtest: dist/test/crash.test.js
    # Subtest: cut off
        ok 1 - x
    1..0 # no tests found
not ok 1 - dist/test/crash.test.js # time=975ms
  ---
  signal: SIGKILL
  ...
# Subtest: dist/test/missing.test.js
    1..0 # no tests found
not ok 2 - dist/test/missing.test.js # time=827ms
# Subtest: dist/test/empty.test.js
    1..0 # no tests found
ok 3 - dist/test/empty.test.js # SKIP no tests found`)
  t.match(results, { passed: 1, failed: 3 })
  t.same(
    failures.map(({ name, why }) => `${name}: ${why}`),
    [
      'dist/test/crash.test.js: failed as a whole',
      'dist/test/missing.test.js: ',
      'dist/test/empty.test.js: ran no test',
    ],
  )
})

t.test('a runner that dies in the middle of a file is a failure', async (t) => {
  const { results } = read(`
# Subtest: dist/test/a.test.js
    ok 1 - x`)
  t.match(results, { passed: 1, failed: 1 })
})

t.test('no matter how the text is cut', async (t) => {
  const text =
    '# Subtest: f\n    ok 1 - x\n    not ok 2 - y\n      ---\n      at: z\n      ...\n    1..2\nnot ok 1 - f\n'
  for (let cut = 0; cut <= text.length; cut++) {
    const { results, failures } = read(text.slice(0, cut), text.slice(cut))
    t.match([results.passed, results.failed, failures[0]?.diagnostics], [1, 1, ['at: z']], `cut at ${cut}`)
  }
})

function read(...parts: readonly string[]): { results: Results; failures: readonly Failure[] } {
  const failures: Failure[] = []
  const results = new TapResults({ onFailure: (failure) => failures.push(failure) })
  for (const part of parts) results.write(part)
  results.end()
  return { results, failures }
}
