import t from 'tap'
import { ApiError } from '../../src/api/types.js'
import { ask, best, givenApi, own, summary, torADetail } from './given.js'

t.test('views are answered as JSON', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  const get = async (path: string) => (await ask({ socketPath: given.socket }, 'GET', path)).json
  t.same(await get('/v1/summary'), summary)
  t.same(await get('/v1/neighbors'), [torADetail])
  t.same(await get('/v1/neighbors?name=192.168.0.1'), [torADetail])
  t.same(await get('/v1/rib'), [best, own], 'nulls, which only give the loop a pause, are left out')
  t.match(await get('/v1/adj-in/tor-a'), [{ valid: false, reason: 'rejected by policy from-tor' }])
  t.same(await get('/v1/adj-out/tor-a'), [best])
  t.match(await get('/v1/groups'), [{ id: 1, members: ['tor-a'] }])
  t.match(await get('/v1/fib'), [{ state: 'installed' }])
  t.match(await get('/v1/explain?prefix=10.244.1.0/26'), { known: true, missing: [/next hop/] })
})

t.test('rows: query parameters, count and NDJSON', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  const get = (path: string) => ask({ socketPath: given.socket }, 'GET', path)
  await get('/v1/rib?family=ipv4-unicast&prefix=10.0.0.0%2F8&longer=1&best=1&from=tor-a&limit=7')
  t.same(given.queries, [
    { family: 'ipv4-unicast', prefix: '10.0.0.0/8', longer: true, best: true, from: 'tor-a', limit: 7 },
  ])
  t.same((await get('/v1/rib?count=1')).json, { count: 2 })
  t.equal((await get('/v1/rib?format=ndjson')).text, `${JSON.stringify(best)}\n${JSON.stringify(own)}\n`)
  t.equal((await get('/v1/rib?prefix=192.0.2.0/24&format=ndjson')).text, '')
  t.same((await get('/v1/rib?prefix=192.0.2.0/24')).json, [])
})

t.test('wrong questions get one line and a status', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  const cases: [string, string, string | undefined, number, RegExp][] = [
    ['GET', '/v1/nothing', undefined, 404, /no \/v1\/nothing here/],
    ['GET', '/', undefined, 404, /no \/ here/],
    ['GET', '*', undefined, 404, /here/],
    ['POST', '/v1/summary', undefined, 405, /asked with GET/],
    ['DELETE', '/v1/announce', undefined, 405, /asked with POST/],
    ['GET', '/v1/neighbors?name=nobody', undefined, 404, /nobody/],
    ['GET', '/v1/adj-in/nobody', undefined, 404, /nobody/],
    ['GET', '/v1/adj-in/%zz', undefined, 400, /percent/],
    ['GET', '/v1/adj-in/', undefined, 404, /here/],
    ['GET', '/v1/rib?prefix=300.0.0.0/8', undefined, 400, /neither a prefix/],
    ['GET', '/v1/rib?prefix=10.0.0.0/33', undefined, 400, /neither a prefix/],
    ['GET', '/v1/rib?family=vpn', undefined, 400, /ipv4-unicast/],
    ['GET', '/v1/rib?limit=0', undefined, 400, /limit/],
    ['GET', '/v1/rib?limit=-1', undefined, 400, /limit/],
    ['GET', '/v1/rib?longer=1', undefined, 400, /longer needs a prefix/],
    ['GET', '/v1/rib?best=maybe', undefined, 400, /best/],
    ['GET', '/v1/rib?preffix=10.0.0.0/8', undefined, 400, /unknown parameter/],
    ['GET', '/v1/explain', undefined, 400, /prefix/],
    ['GET', '/metrics?peers=some', undefined, 400, /all/],
    ['POST', '/v1/announce', undefined, 400, /body/],
    ['POST', '/v1/announce', '{"prefix":', 400, /not JSON/],
    ['POST', '/v1/announce', '{"prefix":"10.0.0.0"}', 400, /prefix: is not a prefix/],
    ['POST', '/v1/announce', '{"prefix":"10.0.0.0/8","med":-1}', 400, /med/],
    ['POST', '/v1/announce', '{"prefix":"10.0.0.0/8","nextHop":"here"}', 400, /nextHop/],
    ['POST', '/v1/announce', '{"prefix":"10.0.0.0/8","colour":"red"}', 400, /colour/],
    ['POST', '/v1/announce', '[]', 400, /body/],
    ['POST', '/v1/withdraw', '{}', 400, /prefix/],
    ['POST', '/v1/neighbor/nobody/up', undefined, 404, /nobody/],
    ['POST', '/v1/neighbor/tor-a/down', JSON.stringify({ text: 'é'.repeat(128) }), 400, /255 octets/],
    ['POST', '/v1/reload?dryRun=perhaps', undefined, 400, /dryRun/],
  ]
  for (const [method, path, body, status, error] of cases) {
    const reply = await ask({ socketPath: given.socket }, method, path, body)
    t.equal(reply.status, status, `${method} ${path} ${body ?? ''}`)
    t.match(reply.json, { error }, reply.text.slice(0, 200))
  }
  t.same(given.calls, [['up', 'nobody']], 'no action was taken')
  const reply = await ask({ socketPath: given.socket }, 'GET', '/v1/nothing')
  t.ok((reply.json as { there: string[] }).there.includes('GET /v1/summary'), 'unknown paths list what there is')
})

t.test('actions', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  const post = (path: string, body?: unknown) =>
    ask({ socketPath: given.socket }, 'POST', path, body === undefined ? undefined : JSON.stringify(body))
  t.same((await post('/v1/neighbor/tor-a/down', { text: 'new line card' })).json, { result: 'down done' })
  await post('/v1/neighbor/tor-a/down')
  await post('/v1/neighbor/192.168.0.0%2F16/up')
  await post('/v1/neighbor/tor-a/clear')
  await post('/v1/neighbor/tor-a/refresh', {})
  await post('/v1/announce', { prefix: '10.0.0.0/8', med: 5, communities: ['64512:1'], blackhole: true })
  await post('/v1/withdraw', { prefix: '2001:db8::/32' })
  t.match((await post('/v1/reload?dryRun=1')).json, { ok: true, applied: false })
  await post('/v1/reload')
  t.same(given.calls, [
    ['down', 'tor-a', { text: 'new line card' }],
    ['down', 'tor-a', {}],
    ['up', '192.168.0.0/16'],
    ['clear', 'tor-a'],
    ['refresh', 'tor-a'],
    ['announce', { prefix: '10.0.0.0/8', med: 5, communities: ['64512:1'], blackhole: true }],
    ['withdraw', '2001:db8::/32'],
    ['reload', true],
    ['reload', false],
  ])
})

t.test('a refused file is 409 with all problems', async (t) => {
  const problems = [{ file: 'x.yaml', line: 3, column: 5, path: 'asn', message: 'is missing' }]
  const given = await givenApi({ actions: { reload: async () => ({ ok: false, problems }) } })
  t.teardown(given.end)
  const reply = await ask({ socketPath: given.socket }, 'POST', '/v1/reload')
  t.equal(reply.status, 409)
  t.same(reply.json, { ok: false, problems, error: 'x.yaml:3:5: asn: is missing' })
})

t.test('faults inside are 500 without their text, logged, and the server lives on', async (t) => {
  const logged: unknown[] = []
  const given = await givenApi({
    log: {
      level: 'info',
      write: (event, fields) => logged.push([event, fields]),
      enabled: () => true,
      setLevel: () => {},
      flush: () => {},
      close: () => {},
    },
    views: {
      summary: () => {
        throw new Error('secret inside')
      },
      // biome-ignore lint/correctness/useYield: fails before its first row
      rib: function* () {
        throw new ApiError(404, 'at the first row')
      },
      adjOut: function* () {
        yield best
        throw new Error('after the first row')
      },
    },
  })
  t.teardown(given.end)
  const where = { socketPath: given.socket }
  const reply = await ask(where, 'GET', '/v1/summary')
  t.equal(reply.status, 500)
  t.notMatch(reply.text, /secret/)
  t.match(
    logged.find((line) => (line as unknown[])[0] === 'api-error'),
    ['api-error', { reason: /secret inside/ }],
  )
  t.equal((await ask(where, 'GET', '/v1/rib')).status, 404, 'a wrong question that shows at the first row')
  await t.rejects(ask(where, 'GET', '/v1/adj-out/x'), 'a fault in the middle cuts the answer off')
  t.equal((await ask(where, 'GET', '/healthz')).text, 'ok\n')
})

t.test('api.http: health, metrics and views, never actions', async (t) => {
  const given = await givenApi({ http: { host: '127.0.0.1', port: 0 } })
  t.teardown(given.end)
  const where = given.api.http!
  t.equal((await ask(where, 'GET', '/healthz')).status, 200)
  const ready = await ask(where, 'GET', '/readyz')
  t.equal(ready.status, 503)
  t.same(ready.json, { ready: false, reasons: ['no session is Established'] })
  t.same((await ask(where, 'GET', '/v1/summary')).json, summary)
  t.equal((await ask(where, 'HEAD', '/v1/summary')).text, '')
  for (const path of ['/v1/reload', '/v1/announce', '/v1/withdraw', '/v1/neighbor/tor-a/down'])
    t.equal((await ask(where, 'POST', path, '{"prefix":"10.0.0.0/8"}')).status, 403, path)
  t.same(given.calls, [])
  const unknown = await ask(where, 'GET', '/v1/nothing')
  t.notOk((unknown.json as { there: string[] }).there.some((row) => row.startsWith('POST')))
})
