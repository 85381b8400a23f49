import t from 'tap'
import { best, bfd, errors, givenApi, own, summary, torAAway, torADetail } from '../api/given.js'
import { requireOrSkip } from '../support/require.js'
import { nodebgp, shell } from './cli.js'

const given = await givenApi()
t.teardown(given.end)
const socket = ['--socket', given.socket]

t.test('show summary: columns operators know, plain in a pipe', async (t) => {
  const { code, out, err } = await nodebgp(['show', 'summary', ...socket])
  t.equal(err, '')
  t.equal(code, 0)
  t.equal(
    out,
    `BGP router identifier 192.168.0.11, local AS number 64512
node-1, nodebgp 0.1.0, up 01:01:01, kernel routes: iproute2
ipv4-unicast: 2 prefixes, 3 paths
2 attribute sets; 2 peers, 1 Established

Neighbor        Name      AS  MsgRcvd  MsgSent  OutQ   Up/Down  State/PfxRcd  PfxAcc  PfxSnt  Desc
192.168.0.1     tor-a  65001      120      130     0  1d02h03m             3       2       1  rack 7
192.168.0.2     rr-1   64512        0        0     0  00:01:01        Active       -       -
192.168.0.0/16  nodes  64512        0        0     0         -         Range       -       -
`,
  )
  const wide = await nodebgp(['show', 'summary', '--wide', ...socket])
  t.match(wide.out, /connection refused by a joker/)
  t.notMatch(wide.out, '\x1b', 'what a peer says cannot steer the terminal')
})

t.test('--json is the view itself', async (t) => {
  const json = async (...args: string[]): Promise<unknown> =>
    JSON.parse((await nodebgp([...args, '--json', ...socket])).out)
  t.same(await json('show', 'summary'), summary)
  t.same(await json('show', 'neighbors'), [torADetail])
  t.same(await json('show', 'neighbors', 'tor-a'), [torADetail])
  t.same(await json('show', 'rib'), [best, own])
  t.same(await json('show', 'rib', '--count'), { count: 2 })
  t.match(await json('show', 'adj-in', 'tor-a'), [{ valid: false }])
  t.same(await json('show', 'adj-out', 'tor-a'), [best])
  t.match(await json('show', 'groups'), [{ id: 1 }])
  t.match(await json('show', 'fib'), [{ state: 'installed' }])
  t.match(await json('show', 'blocks'), [{ rule: 'originate[1]' }, { source: 'announce' }])
  t.match(await json('explain', '10.244.1.0/26'), { known: true })
})

t.test('show bfd: sessions, what was thrown away, what to know', async (t) => {
  const { code, out } = await nodebgp(['show', 'bfd', ...socket])
  t.equal(code, 0)
  const [head, up, waits, ...rest] = out.split('\n')
  t.match(
    head,
    /^Peer +Address +State +Remote +Since +Tx +Rx +Detect +LocalDisc +RemoteDisc +Hops +Received +Sent +Downs +Diagnostic$/,
  )
  t.match(
    up,
    /^tor-a +192\.168\.0\.1 +Up +Up +00:01:01 +100 ms +100 ms +300 ms +3735928559 +7 +single +640 +650 +1 +none; the peer: control detection time expired$/,
  )
  t.match(waits, /^rr-1 +192\.168\.0\.2 +waits for BGP +-/)
  t.same(rest, [
    'Single hop: only packets with hop limit 255 are taken (RFC 5881).',
    'Thrown away: 2 too short, 1 no session',
    'Note: BFD cannot listen on UDP port 4784, IPv6: EADDRINUSE',
    '',
  ])
  t.same(JSON.parse((await nodebgp(['show', 'bfd', '--json', ...socket])).out), bfd)
})

t.test('show errors: rule, action and octets, also of peers that are gone', async (t) => {
  const { code, out } = await nodebgp(['show', 'errors', ...socket])
  t.equal(code, 0)
  t.equal(
    out,
    `2026-01-02T03:04:06.000Z tor-a (192.168.0.1): treat-as-withdraw, 3 times since 2026-01-02T03:04:05.000Z
  Message:   UPDATE of 60 octets (--json has them)
  Attribute: MULTI_EXIT_DISC (4)
  Reason:    MULTI_EXIT_DISC: length 3 is not 4
  Rule:      RFC 7606 §7.4
  Octets:    800403000001
  Prefixes:  10.1.0.0/16, 10.2.0.0/16 and 5 more

2026-01-02T03:04:05.000Z gone (192.168.0.9): session-reset, NOTIFICATION 2/1 (OPEN Message Error/Unsupported Version Number)
  Message: OPEN of 300 octets (--json has them)
  Reason:  version 3
  Rule:    RFC 4271 §6.2
  Octets:  ${'ff'.repeat(256)} and 44 more octets
`,
  )
  t.same(JSON.parse((await nodebgp(['show', 'errors', '--json', ...socket])).out), errors)
  t.match(await nodebgp(['show', 'errors', 'rr-1', ...socket]), { code: 1, err: /no neighbor.*'rr-1'/ })
  t.match((await nodebgp(['show', 'neighbors', 'tor-a', ...socket])).out, /Update errors: +5 \(3 treated as withdrawn/)
})

t.test('show rib: table, options, exit codes', async (t) => {
  const { code, out } = await nodebgp(['show', 'rib', ...socket])
  t.equal(code, 0)
  t.equal(
    out,
    `St: * valid, > best, = multipath, S stale. Orig: i igp, e egp, ? incomplete
St  Network          NextHop      LocPrf  MED  Weight  Path         Orig       Age  From
*>  10.244.1.0/26    192.168.0.7     100    -       0  65001 64513  i     00:00:59  tor-a
*>  10.244.171.0/26  -                 -    -   32768  -            i     00:00:59  local
`,
  )
  t.equal((await nodebgp(['show', 'rib', '--count', ...socket])).out, '2\n')
  t.match((await nodebgp(['show', 'rib', '10.244.1.0/26', ...socket])).out, /only path\n$/)
  const none = await nodebgp(['show', 'rib', '192.0.2.0/24', ...socket])
  t.same(none, { code: 1, out: '', err: 'nodebgp: no route for 192.0.2.0/24\n' })
  const noneJson = await nodebgp(['show', 'rib', '192.0.2.0/24', '--json', ...socket])
  t.match(noneJson, { code: 1, out: '[]\n' })
  given.queries.length = 0
  const options = ['--family', 'ipv4-unicast', '--longer', '--best', '--from', 'tor-a', '--limit', '1']
  await nodebgp(['show', 'rib', '10.244.1.0/26', ...options, ...socket])
  t.same(given.queries, [
    { family: 'ipv4-unicast', prefix: '10.244.1.0/26', longer: true, best: true, from: 'tor-a', limit: 1 },
  ])
})

t.test('show adj-in, adj-out, groups, fib, blocks', async (t) => {
  t.match((await nodebgp(['show', 'adj-in', 'tor-a', ...socket])).out, /rejected by policy from-tor\n$/)
  t.match(await nodebgp(['show', 'adj-out', '192.168.0.1', ...socket]), { code: 1, err: /192\.168\.0\.1/ })
  const sent = (await nodebgp(['show', 'adj-out', 'tor-a', ...socket])).out
  t.match(sent, /\*> {2}10\.244\.1\.0\/26/)
  t.notMatch(sent, /Age/, 'nobody knows when it was sent')
  t.match(
    (await nodebgp(['show', 'groups', ...socket])).out,
    /ipv4-unicast +1 +2 +1 +60 +0 {2}ebgp AS65001 pods {2}tor-a/,
  )
  t.equal(
    (await nodebgp(['show', 'fib', ...socket])).out,
    'Driver: iproute2 (auto found no netlink: no package koffi)\n' +
      'Network        State      Via                   Reason\n10.244.1.0/26  installed  192.168.0.7 dev eth0\n',
  )
  t.equal(
    (await nodebgp(['show', 'blocks', ...socket])).out,
    `Network        From                     Protocol              Device        Routes    Blackhole
10.244.1.0/26  originate[1] fromKernel  boot (3), felix (80)  cali5, cali6  2 inside  installed
10.9.0.0/16    command                  -                     -             -         -
`,
  )
})

t.test('show neighbors X: everything about one', async (t) => {
  const { out } = await nodebgp(['show', 'neighbors', 'tor-a', ...socket])
  t.match(out, /^tor-a \(192\.168\.0\.1\), AS 65001, external: Established for 1d02h03m\n/)
  t.match(out, /Hold time: +9 s, keepalive 3 s\n/)
  t.match(out, /Note: no export policy: nothing is sent \(RFC 8212\)\n/)
  t.match(out, / {4}Family +Received +Accepted +Sent +End-of-RIB\n {4}ipv4-unicast +3 +2 +1 +received, sent\n/)
  t.match(out, /keepalive +115 +127\n/)
  t.match(out, /65 4-octet AS 65001\n/)
  t.match(out, /2026-01-02T03:04:05Z OpenConfirm to Established: KEEPALIVE received\n/)
  t.same((await nodebgp(['neighbor', 'tor-a', ...socket])).out, out, 'neighbor X says the same')
  t.match(await nodebgp(['show', 'neighbors', 'nobody', ...socket]), {
    code: 1,
    out: '',
    err: "nodebgp: no neighbor with the name or address 'nobody'; 'nodebgp show summary' lists them\n",
  })
})

t.test('show neighbors X: graceful restart, offered and under way', async (t) => {
  const offered = { ...torADetail, gracefulRestart: { ...torAAway.gracefulRestart!, stale: [] } }
  const helper = {
    restartTimeSeconds: 0,
    restarting: false,
    notification: false,
    families: [],
    longLived: [],
    stale: [],
  }
  const views = [torAAway, offered, { ...torADetail, gracefulRestart: helper }]
  const [away, up, helps] = await Promise.all(
    views.map(async (view) => {
      const one = await givenApi({ views: { neighbors: () => [view] } })
      t.teardown(one.end)
      const words = ['show', 'neighbors', 'tor-a', '--socket', one.socket]
      t.same(JSON.parse((await nodebgp([...words, '--json'])).out), [view], '--json is the view itself')
      return (await nodebgp(words)).out
    }),
  )
  const offer =
    / {2}Graceful: +restart time 120 s for ipv4-unicast \(forwards\), ipv6-unicast; NOTIFICATIONs too; long-lived 3600 s for ipv4-unicast\n/
  t.match(away, /^tor-a \(192\.168\.0\.1\), AS 65001, external: LongLivedStale for 1d02h03m\n/)
  t.match(away, offer)
  t.match(away, / {2}Stale routes:\n {4}ipv4-unicast 3 long-lived, 3210 s left\n/)
  t.match(up, offer)
  t.notMatch(up, 'Stale routes')
  t.match(helps, / {2}Graceful: +helps only\n/)
  t.notMatch((await nodebgp(['show', 'neighbors', 'tor-a', ...socket])).out, 'Graceful:', 'nothing without it')
})

t.test('explain', async (t) => {
  const { code, out } = await nodebgp(['explain', '10.244.1.0/26', ...socket])
  t.equal(code, 0)
  t.match(out, /Policies\n {2}tor-a: from-tor: accepted by statement 1\n/)
  t.match(out, /Sent to\n {2}rr-1 \(192\.168\.0\.2\)\n/)
  t.match(out, /Not sent to\n {2}tor-a \(192\.168\.0\.1\): it came from there\n/)
  t.match(out, /Kernel\n {2}10\.244\.1\.0\/26 -: unresolved, no route to 192\.168\.0\.7\n/)
  t.match(out, /Missing\n {2}a route to the next hop 192\.168\.0\.7\n$/)
  t.equal((await nodebgp(['explain', '192.0.2.0/24', ...socket])).code, 1)
})

t.test('words that fingers know', async (t) => {
  const plain = (await nodebgp(['show', 'summary', ...socket])).out
  for (const words of [
    ['sh', 'sum'],
    ['show', 'bgp', 'summary'],
    ['bgp', 'sum'],
    ['show', 'ip', 'bgp', 'sum'],
    ['show', 'bgp', 'ipv4', 'unicast', 'summary'],
    ['show', 'protocols'],
  ])
    t.equal((await nodebgp([...words, ...socket])).out, plain, words.join(' '))
  given.queries.length = 0
  await nodebgp(['show', 'bgp', 'ipv6', 'unicast', ...socket])
  await nodebgp(['show', 'ip', 'bgp', '10.244.1.0/26', ...socket])
  await nodebgp(['show', 'route', ...socket])
  await nodebgp(['show', 'ip', 'bgp', ...socket])
  t.same(given.queries, [{ family: 'ipv6-unicast' }, { prefix: '10.244.1.0/26' }, {}, {}])
})

t.test('a terminal gets colour, NO_COLOR does not', async (t) => {
  if (!requireOrSkip(t, { commands: ['script'], packages: ['bsdutils'] })) return
  const command = `$NODEBGP show summary --socket ${given.socket}`
  const onTerminal = (env: string): Promise<{ out: string }> =>
    shell(`script -qec "${env} ${command}" /dev/null`, { TERM: 'xterm' })
  t.match((await onTerminal('env')).out, '\x1b[32m')
  t.notMatch((await onTerminal('env NO_COLOR=1')).out, '\x1b[32m')
})
