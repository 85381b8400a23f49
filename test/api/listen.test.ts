import { spawnSync } from 'node:child_process'
import { existsSync, lstatSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import t from 'tap'
import { ListenError, startApi } from '../../src/api/server.js'
import type { Actions, Views } from '../../src/api/types.js'
import { silentLog } from '../../src/log.js'
import { ask, givenApi } from './given.js'

const rest = {
  http: null,
  views: { ready: () => ({ ready: true, reasons: [] }) } as unknown as Views,
  actions: {} as Actions,
  metrics: { render: async () => ({ type: 'text/plain', text: '' }), close: () => {} },
  log: silentLog,
}

t.test('the folder is made, the socket is for owner and group, and goes away again', async (t) => {
  const given = await givenApi()
  t.equal(statSync(given.socket).mode & 0o777, 0o660)
  t.equal(statSync(dirname(given.socket)).mode & 0o777, 0o755)
  await given.api.close()
  t.notOk(existsSync(given.socket))
  await given.end()
})

t.test('a second server on a live socket is refused and the first one stays', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  await t.rejects(startApi({ ...rest, socket: given.socket }), {
    name: 'ListenError',
    message: `already running: another nodebgp answers on ${given.socket}; stop it, or set another api.socket`,
  })
  t.equal((await ask({ socketPath: given.socket }, 'GET', '/healthz')).status, 200)
})

t.test('a stale socket file is replaced', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  const socket = join(given.directory, 'stale.sock')
  // A process that ends without closing leaves its file.
  const script = `require('net').createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', script])
  t.ok(lstatSync(socket).isSocket())
  const api = await startApi({ ...rest, socket })
  t.equal((await ask({ socketPath: socket }, 'GET', '/healthz')).status, 200)
  await api.close()
})

t.test('other files are left alone; bad paths get one line', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  const file = join(given.directory, 'file')
  writeFileSync(file, 'precious')
  await t.rejects(startApi({ ...rest, socket: file }), /is not a socket; remove it or choose another path/)
  t.equal(statSync(file).size, 8)
  await t.rejects(startApi({ ...rest, socket: join(file, 'x', 'y.sock') }), /cannot create the folder .* not a folder/)
  await t.rejects(startApi({ ...rest, socket: `/tmp/${'x'.repeat(120)}` }), /longer than 107 octets/)
})

t.test('a busy port gives one line, and leaves no socket behind', async (t) => {
  const given = await givenApi()
  t.teardown(given.end)
  const busy = createServer()
  await new Promise<void>((resolve) => busy.listen(0, '127.0.0.1', resolve))
  t.teardown(() => busy.close())
  const { port } = busy.address() as { port: number }
  const socket = join(given.directory, 'other.sock')
  await t.rejects(startApi({ ...rest, socket, http: { host: '127.0.0.1', port } }), {
    name: 'ListenError',
    message: `cannot open api.http 127.0.0.1:${port}: another program uses it already; set another api.http`,
  })
  t.notOk(existsSync(socket))
})

t.test('reconfigure moves, and an error keeps the old ones', async (t) => {
  const given = await givenApi({ http: { host: '127.0.0.1', port: 0 } })
  t.teardown(given.end)
  const oldHttp = given.api.http!
  const file = join(given.directory, 'file')
  writeFileSync(file, '')
  await t.rejects(given.api.reconfigure({ socket: file, http: null }), ListenError)
  t.equal((await ask({ socketPath: given.socket }, 'GET', '/healthz')).status, 200)
  t.equal((await ask(oldHttp, 'GET', '/healthz')).status, 200)
  const moved = join(given.directory, 'moved.sock')
  await given.api.reconfigure({ socket: moved, http: null })
  t.equal((await ask({ socketPath: moved }, 'GET', '/healthz')).status, 200)
  t.equal(given.api.http, null)
  await t.rejects(ask(oldHttp, 'GET', '/healthz'), { code: 'ECONNREFUSED' })
  await t.rejects(ask({ socketPath: given.socket }, 'GET', '/healthz'))
})
