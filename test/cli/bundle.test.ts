import t from 'tap'
import { shippedCommand } from '../support/root.js'
import { nodebgp, run } from './cli.js'

const shipped = (...args: string[]) => run(process.execPath, [shippedCommand, ...args], {})

t.test('the shipped bundle says the same as the compiled program', async (t) => {
  for (const args of [
    ['--version'],
    ['--help'],
    ['nonsense'],
    ['check', 'bgp.example.yaml'],
    ['show', 'summary', '--socket', '/nowhere'],
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
