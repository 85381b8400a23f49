/** Exit codes: 0 well, 1 the answer is no, 2 wrong usage, 3 no daemon. */
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { best, givenApi } from '../api/given.js'
import { requireOrSkip } from '../support/require.js'
import { projectRoot } from '../support/root.js'
import { mainFile, nodebgp, shell } from './cli.js'

t.test('no daemon: says where it looked and what to do', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  const missing = join(given.directory, 'missing.sock')
  const advice = "Start one with 'nodebgp run -c FILE', or name its socket with --socket PATH or NODEBGP_SOCKET"
  t.same(await nodebgp(['show', 'summary', '--socket', missing]), {
    code: 3,
    out: '',
    err: `nodebgp: no daemon at ${missing} (from --socket): no such socket. ${advice}\n`,
  })
  t.match(await nodebgp(['show', 'fib'], { NODEBGP_SOCKET: missing }), { code: 3, err: /\(from NODEBGP_SOCKET\)/ })
  t.match(await nodebgp(['reload', '--socket', missing]), { code: 3 })
  const file = join(given.directory, 'file')
  writeFileSync(file, '')
  t.match(await nodebgp(['show', 'rib', '--socket', file]), { code: 3, err: /nobody listens there|not a socket/ })
})

t.test(
  'no permission is told as that',
  { skip: process.getuid?.() !== 0 && 'needs root to become somebody else' },
  async (t) => {
    const given = await givenApi()
    t.teardown(given.end)
    // The folder is for its owner only; this user is nobody.
    const options = { uid: 65534, gid: 65534, encoding: 'utf8' } as const
    const { status, stderr } = spawnSync(
      process.execPath,
      [mainFile, 'show', 'summary', '--socket', given.socket],
      options,
    )
    t.equal(status, 3)
    t.match(stderr, /no permission to use .*: run as root, or as a member of the socket's group/)
  },
)

t.test('NODEBGP_SOCKET finds the daemon, --socket wins', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  t.equal((await nodebgp(['show', 'summary'], { NODEBGP_SOCKET: given.socket })).code, 0)
  t.equal((await nodebgp(['show', 'summary', '--socket', given.socket], { NODEBGP_SOCKET: '/nowhere' })).code, 0)
})

t.test('something else answers on the socket, or the daemon dies in the middle', async (t) => {
  const given = await givenApi({
    views: {
      rib: function* () {
        yield best
        throw new Error('dies here')
      },
    },
  })
  t.teardown(given.end)
  t.match(await nodebgp(['show', 'rib', '--socket', given.socket]), { code: 3, err: /did not answer to the end/ })
  const other = join(given.directory, 'other.sock')
  const server = createServer((socket) => socket.end('220 mail.example.net ESMTP\r\n'))
  await new Promise<void>((resolve) => server.listen(other, resolve))
  t.teardown(() => server.close())
  t.match(await nodebgp(['show', 'summary', '--socket', other]), { code: 3, err: /did not answer/ })
})

t.test('wrong usage', async (t) => {
  const cases: [string[], RegExp][] = [
    [[], /which command\?/],
    [['shwo'], /Did you mean show\?/],
    [['pictures'], /^nodebgp: unknown argument: pictures; 'nodebgp --help' lists what there is$/m],
    [['show'], /show what\? summary, neighbors/],
    [['show', 'summry'], /Did you mean summary\?/],
    [['show', 'rib', '--famly', 'x'], /unknown argument: famly; 'nodebgp show rib --help' lists what there is/],
    [
      ['show', 'rib', '--family', 'vpn'],
      /^nodebgp: family is "vpn", and has to be one of "ipv4-unicast", "ipv6-unicast"$/m,
    ],
    [['show', 'summary', '--watch', '--json'], /--watch and --json exclude each other/],
    [['show', 'rib', '10.0.0.1/8'], /'10\.0\.0\.1\/8' has bits set after its length; write 10\.0\.0\.0\/8/],
    [['explain', 'fd00::1/64'], /write fd00::\/64/],
    [['withdraw', '10.0.0.1/8'], /write 10\.0\.0\.0\/8/],
    [['explain', '10.0.0.0/99'], /needs a prefix length of 0 to 32/],
    [['show', 'rib', '--limit', 'many'], /--limit takes a number from 1/],
    [['show', 'summary', '--watch'], /--watch needs a terminal/],
    [['explain'], /not enough arguments: 'nodebgp explain --help' lists them/],
    [['load', '--target', 'x'], /missing argument: asn; 'nodebgp load --help' lists what there is/],
    [['neighbor', 'tor-a', 'dwn'], /"up", "down", "clear", "refresh"/],
    [['neighbor', 'tor-a', 'up', 'why not'], /a text goes only with down/],
    [['announce', '10.0.0.0/8', '--med', 'x'], /--med takes a number/],
    [['run'], /nodebgp run -c FILE/],
  ]
  for (const [args, err] of cases) {
    const run = await nodebgp(args)
    t.match(run, { code: 2, out: '', err }, args.join(' '))
    t.equal(run.err.split('\n').length, 2, 'one line')
  }
  const given = await givenApi()
  t.teardown(given.end)
  t.match(await nodebgp(['show', 'rib', 'here', '--socket', given.socket]), { code: 2, err: /neither a prefix/ })
  t.match(await nodebgp(['announce', 'here', '--socket', given.socket]), { code: 2, err: /is not a prefix/ })
})

t.test('--help and --version', async (t) => {
  const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string }
  t.match(await nodebgp(['--version']), { code: 0, out: `${version}\n` })
  const help = await nodebgp(['--help'])
  t.equal(help.code, 0)
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
  ])
    t.match(help.out, new RegExp(`nodebgp ${command} `), command)
  t.match(await nodebgp(['show', 'rib', '--help']), { code: 0, out: /--longer/ })
  t.match(await nodebgp(['completion']), { code: 0, out: /nodebgp/ })
})

t.test('a reader that has seen enough (| head) is no failure', async (t) => {
  const given = await givenApi({
    views: {
      rib: function* () {
        for (let n = 0; n < 100_000; n++) yield best
      },
    },
  })
  t.teardown(given.end)
  for (const json of ['', '--json']) {
    const run = await shell(`set -o pipefail; $NODEBGP show rib ${json} --socket ${given.socket} | head -3`)
    t.match(run, { code: 0, err: '' })
    t.equal(run.out.split('\n').length, 4)
  }
})

t.test('--watch draws again and again on a terminal', async (t) => {
  if (!requireOrSkip(t, { commands: ['script'], packages: ['bsdutils'] })) return
  const given = await givenApi()
  t.teardown(given.end)
  const command = `${process.execPath} ${mainFile} show summary --watch --socket ${given.socket}`
  const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'] })
  let screens = 0
  for await (const chunk of child.stdout.setEncoding('utf8')) {
    screens += String(chunk).split('router identifier').length - 1
    if (screens >= 2 && !child.stdin.writableEnded) child.stdin.end(CTRL_C)
  }
  t.ok(screens >= 2)
})

const CTRL_C = '\u0003'
