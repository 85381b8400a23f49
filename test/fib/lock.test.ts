/** The lock of a table and protocol number: between processes and inside of one. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import t from 'tap'
import { findHolder, takeLock } from '../../src/fib/lock.js'
import { FibError } from '../../src/fib/types.js'

/** A protocol number that no other test uses; the table makes it unique on the machine. */
const table = 1_000_000 + process.pid
const options = { table, protocol: 201, netns: null, file: '/etc/nodebgp/a.yaml' }
const LOCK = new URL('../../src/fib/lock.js', import.meta.url).href

t.test('the second is refused and told who has it; another table or protocol is free', async (t) => {
  const give = await takeLock(options)
  const refused = takeLock({ ...options, file: '/etc/nodebgp/b.yaml' })
  await t.rejects(refused, {
    name: 'FibError',
    message: new RegExp(`table ${table} with protocol 201 .* process ${process.pid} \\(/etc/nodebgp/a\\.yaml\\)`),
  })
  t.ok(await refused.catch((error: unknown) => error instanceof FibError))
  t.same(await findHolder(options), { pid: process.pid, file: '/etc/nodebgp/a.yaml' })
  const others = [await takeLock({ ...options, table: table + 1 }), await takeLock({ ...options, protocol: 202 })]
  for (const one of [give, ...others]) await one()
  t.equal(await findHolder(options), null)
  await (await takeLock(options))()
})

t.test('it is gone with the process that had it, however that ended', async (t) => {
  const child = await holder(t)
  await t.rejects(takeLock(options), { message: new RegExp(`process ${child.pid} \\(/etc/nodebgp/child\\.yaml\\)`) })
  child.kill('SIGKILL')
  await once(child, 'exit')
  await (await takeLock(options))()
})

t.test('a holder that stands still has it all the same', async (t) => {
  const child = await holder(t)
  child.kill('SIGSTOP')
  await t.rejects(takeLock(options), { message: /another process, which does not say who it is/ })
  child.kill('SIGKILL')
  await once(child, 'exit')
})

t.test('the lock does not keep a process alive', async (t) => {
  const child = await holder(t, '')
  await once(child, 'exit')
  t.equal(child.exitCode, 0)
  t.equal(await findHolder(options), null)
})

/** Another process with the lock; `stay` keeps it alive. */
async function holder(t: Scope, stay = 'setInterval(() => {}, 1000)'): Promise<ChildProcess> {
  const held = JSON.stringify({ ...options, file: '/etc/nodebgp/child.yaml' })
  const source = `import { takeLock } from '${LOCK}'; await takeLock(${held}); process.stdout.write('held'); ${stay}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source], { stdio: ['ignore', 'pipe', 'inherit'] })
  t.teardown(() => void child.kill('SIGKILL'))
  await once(child.stdout!, 'data')
  return child
}

interface Scope {
  teardown(action: () => void): void
}
