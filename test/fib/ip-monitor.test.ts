/** No `ip monitor` stays behind, however its owner ends, with the shells that containers have, and without one. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { childrenOf, commandOf, isAlive } from '../support/processes.js'
import { findCommand, requireOrSkip } from '../support/require.js'
import { until } from '../support/wait.js'

const HOLDER = new URL('./monitor-holder.js', import.meta.url).pathname

for (const shell of ['sh', 'busybox'] as const) {
  t.test(`${shell}: ip ends with its owner, and its owner hears of its end`, async (t) => {
    if (!requireOrSkip(t, { commands: ['ip', shell], packages: ['iproute2', 'busybox-static'] })) return

    t.test('SIGKILL, without any event', async (t) => {
      const { child, ip } = await holder(t, shell)
      t.match(commandOf(ip), /\/ip -o monitor route $/)
      child.kill('SIGKILL')
      await until('ip has ended', () => !isAlive(ip))
    })

    t.test('an orderly end that closes nothing', async (t) => {
      const { child, ip } = await holder(t, shell)
      child.kill('SIGINT')
      await until('ip has ended', () => !isAlive(ip))
    })

    t.test('Ctrl-C reaches all processes of the terminal: the owner decides', async (t) => {
      const { child, ip, shell: pid } = await holder(t, shell)
      process.kill(pid, 'SIGINT')
      process.kill(ip, 'SIGINT')
      child.kill('SIGKILL')
      await until('ip has ended', () => !isAlive(ip))
    })

    t.test('closed', async (t) => {
      const { child, ip, lines } = await holder(t, shell)
      child.kill('SIGTERM')
      await once(child, 'exit')
      await until('said', () => lines.includes('closed'))
      t.notOk(isAlive(ip))
    })

    t.test('somebody ends ip: told, and nothing is left', async (t) => {
      const { child, ip, lines, shell: pid } = await holder(t, shell)
      process.kill(ip, 'SIGKILL')
      await once(child, 'exit')
      await until('said', () => lines.some((line) => /^ended exit status 137$/.test(line)))
      t.notOk(isAlive(pid))
    })
  })
}

t.test('without a shell: ip is started alone', async (t) => {
  if (!requireOrSkip(t, { commands: ['ip'], packages: ['iproute2'] })) return
  const { child, ip, lines } = await holder(t, null)
  child.kill('SIGTERM')
  await once(child, 'exit')
  await until('said', () => lines.includes('closed'))
  t.notOk(isAlive(ip))
  const other = await holder(t, null)
  other.child.kill('SIGINT')
  await until('ip has ended with an orderly exit', () => !isAlive(other.ip))
})

interface Holder {
  readonly child: ChildProcess
  readonly shell: number
  readonly ip: number
  readonly lines: readonly string[]
}

/** A process that holds a monitor; its PATH has `ip` and this shell, and nothing else. */
async function holder(t: Test, shell: 'sh' | 'busybox' | null): Promise<Holder> {
  const folder = mkdtempSync(join(tmpdir(), 'monitor-'))
  symlinkSync(findCommand('ip')!, join(folder, 'ip'))
  if (shell !== null) symlinkSync(findCommand(shell)!, join(folder, 'sh'))
  const child = spawn(process.execPath, [HOLDER], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, PATH: folder },
  })
  const lines: string[] = []
  createInterface(child.stdout!).on('line', (line) => lines.push(line))
  t.teardown(() => {
    child.kill('SIGKILL')
    rmSync(folder, { recursive: true })
  })
  const known = (): number => Number(lines.findLast((line) => line.startsWith('pid '))?.slice(4) ?? 0)
  const ipOf = (pid: number): number => (shell === null ? pid : (childrenOf(pid)[0] ?? 0))
  const ip = await until('ip runs', () => {
    const pid = ipOf(known())
    return / monitor /.test(commandOf(pid)) ? pid : 0
  })
  t.teardown(() => isAlive(ip) && process.kill(ip, 'SIGKILL'))
  return { child, shell: known(), ip, lines }
}
