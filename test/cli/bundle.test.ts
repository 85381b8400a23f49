import { copyFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import t from 'tap'
import { codeFileOf, loadScript } from '../../src/cli/cached-daemon.js'
import { shippedCommand } from '../support/root.js'
import { nodebgp, run } from './cli.js'

type Daemon = typeof import('../../src/daemon.js')

const shipped = (...args: string[]) => run(process.execPath, [shippedCommand, ...args], {})

t.test('the shipped bundle says the same as the compiled program', async (t) => {
  for (const args of [
    ['--version'],
    ['--help'],
    ['nonsense'],
    ['check', 'bgp.example.yaml'],
    ['show', 'summary', '--socket', '/nowhere'],
    // What lies outside of the bundle has errors of its own class.
    ['load', '--target', 'here', '--asn', '1'],
    ['lab', '--limit', 'x'],
  ])
    t.same(await shipped(...args), await nodebgp(args), args.join(' '))
})

t.test('every command can be loaded from the bundle', async (t) => {
  for (const command of [
    'run',
    'check',
    'show',
    'explain',
    'neighbor',
    'announce',
    'withdraw',
    'reload',
    'decode',
    'lab',
    'load',
  ]) {
    const { code, out, err } = await shipped(command, '--help')
    t.equal(code, 0, command)
    t.equal(err, '')
    t.match(out, `nodebgp ${command}`)
  }
})

t.test('a plain `run -c FILE` refuses as the other spellings do', async (t) => {
  const plain = await shipped('run', '-c', '/nowhere/bgp.yaml')
  t.equal(plain.code, 1)
  t.match(plain.err, '/nowhere/bgp.yaml')
  t.same(plain, await shipped('run', '--config=/nowhere/bgp.yaml'))
  t.same(plain, await nodebgp(['run', '-c', '/nowhere/bgp.yaml']))
  const usage = await shipped('run', '-c', '')
  t.same(usage, await nodebgp(['run', '-c', '']))
  t.not(usage.code, 0)
})

t.test(
  'the daemon of the bundle: V8 takes the code that lies beside it, and does without where there is none or another',
  async (t) => {
    const daemon = join(dirname(shippedCommand), 'daemon.cjs')
    t.equal(loadScript(daemon).script.cachedDataRejected, false)
    const without = join(t.testdir(), 'without.cjs')
    const broken = join(dirname(without), 'broken.cjs')
    await copyFile(daemon, without)
    await copyFile(daemon, broken)
    await writeFile(codeFileOf(broken), 'not code')
    t.type(loadScript<Daemon>(without).exports.runDaemon, 'function')
    const { exports, script } = loadScript<Daemon>(broken)
    t.equal(script.cachedDataRejected, true)
    t.type(exports.runDaemon, 'function')
  },
)
