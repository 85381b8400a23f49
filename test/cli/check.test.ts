import { join } from 'node:path'
import t from 'tap'
import yargs from 'yargs'
import { check, checkCommand } from '../../src/cli/commands/check.js'
import { projectRoot } from '../support/root.js'

const EXAMPLE = join(projectRoot, 'bgp.example.yaml')
const BAD = join(projectRoot, 'fixtures/config/bad/contradictions.yaml')
const REFLECTOR = join(projectRoot, 'fixtures/config/good/reflector.yaml')

t.test('a sound file is explained', async (t) => {
  const { exitCode, output } = check(EXAMPLE, false)
  t.equal(exitCode, 0)
  t.match(output, /^speaker {5}AS 64512, router id 192\.168\.0\.11, node /)
  t.match(output, /reflector {3}yes, cluster 192\.168\.0\.11, 1 client entry/)
  t.match(
    output,
    /tor-a: 192\.168\.0\.1, AS 65001, external, .*hold time 9s, connects to it, import from-tor, export pods/,
  )
  t.match(output, /nodes: any of 192\.168\.0\.0\/16, AS 64512, reflector client, .*waits for its connection/)
  t.match(output, /routes of the kernel: protocol 80 or 3, within 10\.244\.0\.0\/16, on cali\*/)
  t.match(output, /kernel {6}learned routes within 10\.244\.0\.0\/16 to table main, protocol 179, driver auto/)
})

t.test('notes are shown with their places', async (t) => {
  t.match(
    check(REFLECTOR, false).output,
    /note: .*reflector\.yaml:10:33 fib\.accept: every learned route goes to the kernel/,
  )
})

t.test('all problems of a bad file, exit code 1', async (t) => {
  const { exitCode, output } = check(BAD, false)
  t.equal(exitCode, 1)
  const lines = output.trimEnd().split('\n')
  t.equal(lines.length, 19)
  for (const line of lines.slice(0, -1)) t.match(line, /contradictions\.yaml:\d+:\d+ \S+: ./)
  t.equal(lines.at(-1), '18 problems; the daemon would not start with this file')
})

t.test('JSON', async (t) => {
  const good = JSON.parse(check(EXAMPLE, true).output)
  t.match(good, {
    ok: true,
    notes: [],
    config: { asn: 64512, neighbors: [{ name: 'tor-a', type: 'ebgp' }, {}, { type: 'ibgp-client' }] },
  })
  const bad = check(BAD, true)
  t.equal(bad.exitCode, 1)
  t.match(JSON.parse(bad.output), { ok: false, problems: [{ line: 2, path: 'listen[1]' }] })
  t.equal(check('/no/such/file', false).exitCode, 1)
})

t.test('wrong usage is told by yargs before the file is read', async (t) => {
  const cli = yargs(['check'])
    .command(checkCommand)
    .exitProcess(false)
    .fail((message) => {
      throw new Error(message)
    })
  await t.rejects(async () => cli.parseAsync(), /Not enough/)
  t.equal(process.exitCode, undefined, 'nothing was checked')
})
