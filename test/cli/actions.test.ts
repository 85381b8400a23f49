import t from 'tap'
import { givenApi } from '../api/given.js'
import { nodebgp } from './cli.js'

t.test('neighbor X up, down, clear, refresh', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  const run = (...args: string[]) => nodebgp([...args, '--socket', given.socket])
  t.same(await run('neighbor', 'tor-a', 'down', 'new line card'), { code: 0, out: 'down done\n', err: '' })
  await run('neighbor', 'tor-a', 'down')
  await run('neighbor', 'tor-a', 'down', 'bye', '--graceful', '--wait', '1m30s')
  await run('neighbor', '192.168.0.0/16', 'up')
  await run('neighbor', 'fe80::1%eth0', 'clear')
  t.same(JSON.parse((await run('neighbor', 'tor-a', 'refresh', '--json')).out), { result: 'refresh done' })
  t.same(given.calls, [
    ['down', 'tor-a', { text: 'new line card' }],
    ['down', 'tor-a', {}],
    ['down', 'tor-a', { text: 'bye', graceful: true, waitSeconds: 90 }],
    ['up', '192.168.0.0/16'],
    ['clear', 'fe80::1%eth0'],
    ['refresh', 'tor-a'],
  ])
  t.match(await run('neighbor', 'tor-a', 'up', '--graceful'), { code: 2, err: /only with down/ })
  t.match(await run('neighbor', 'tor-a', 'down', '--graceful', '--wait', '2d'), { code: 2, err: /from 1s to 1h/ })
  t.match(await run('neighbor', 'nobody', 'up'), { code: 1, out: '', err: /nobody/ })
})

t.test('announce and withdraw', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  const run = (...args: string[]) => nodebgp([...args, '--socket', given.socket])
  await run('announce', '--community', '64512:1', '10.9.0.0/16', '--community', 'no-export', '--med', '7')
  await run('announce', '2001:db8::/32', '--next-hop', '2001:db8::1', '--local-pref', '0', '--blackhole')
  t.equal((await run('withdraw', '10.9.0.0/16')).out, 'withdraw done\n')
  t.same(given.calls, [
    ['announce', { prefix: '10.9.0.0/16', med: 7, communities: ['64512:1', 'no-export'] }],
    ['announce', { prefix: '2001:db8::/32', nextHop: '2001:db8::1', localPref: 0, blackhole: true }],
    ['withdraw', '10.9.0.0/16'],
  ])
})

t.test('fib flush asks first, and only on a terminal; fib restore', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  const run = (...args: string[]) => nodebgp(['fib', ...args, '--socket', given.socket])
  t.match(await run('flush'), { code: 2, out: '', err: /remove 1 route of the running daemon.*Add --yes/ })
  t.same(given.calls, [])
  t.same(await run('flush', '--yes'), { code: 0, out: 'flush done\n', err: '' })
  t.same(JSON.parse((await run('restore', '--json')).out), { result: 'restore done' })
  t.same(given.calls, [['flush'], ['restore']])
  t.match(await nodebgp(['fib', 'flush', '--yes', '--socket', '/no/such']), { code: 3, err: /fib flush -c FILE/ })
  t.match(await nodebgp(['fib', 'flush', '--yes', '-c', '/no/such']), { code: 1, err: /nothing was removed/ })
  t.match(await nodebgp(['fib']), { code: 2, err: /flush or restore/ })
})

t.test('reload', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  const changes = '+ neighbour tor-b\n! neighbour rr-1: asn (new session)\n~ policy pods\n'
  const run = (...args: string[]) => nodebgp(['reload', ...args, '--socket', given.socket])
  t.same(await run('--diff'), { code: 0, out: `${changes}not applied (only compared)\n`, err: '' })
  t.same(await run(), { code: 0, out: `${changes}applied\n`, err: '' })
  t.same(given.calls, [
    ['reload', true],
    ['reload', false],
  ])
})

t.test('reload of a bad file: every problem with its place, exit code 1', async (t) => {
  const problems = [
    { file: '/etc/nodebgp.yaml', line: 3, column: 5, path: 'asn', message: 'is missing' },
    {
      file: '/etc/nodebgp.yaml',
      line: 9,
      column: 1,
      path: 'neighbours',
      message: 'unknown key; did you mean neighbors?',
    },
  ]
  const given = await givenApi({ actions: { reload: async () => ({ ok: false, problems }) } })
  t.teardown(given.end)
  t.same(await nodebgp(['reload', '--socket', given.socket]), {
    code: 1,
    out: '',
    err: `/etc/nodebgp.yaml:3:5 asn: is missing
/etc/nodebgp.yaml:9:1 neighbours: unknown key; did you mean neighbors?
nothing was changed: the running configuration stays
`,
  })
  const json = await nodebgp(['reload', '--json', '--socket', given.socket])
  t.equal(json.code, 1)
  t.match(JSON.parse(json.out), { ok: false, problems })
})
