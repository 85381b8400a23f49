/** What the build lets the daemon do before V8's code is stored: a build goes on without it, so that here is where its failure shows. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import t from 'tap'
import { loadConfig } from '../../src/config/load.js'
import { Speaker } from '../../src/daemon/speaker.js'
import { createLogger } from '../../src/log.js'
import { projectRoot } from '../support/root.js'

type Exercise = (daemon: { Speaker: unknown; createLogger: unknown; loadConfig: typeof loadConfig }) => Promise<void>

t.test('three speakers meet, lose one, and leave nothing behind', async (t) => {
  const { exercise } = (await import(pathToFileURL(join(projectRoot, 'scripts', 'exercise.mjs')).href)) as {
    exercise: Exercise
  }
  const dir = mkdtempSync(join(tmpdir(), 'x-'))
  t.teardown(() => rmSync(dir, { recursive: true }))
  process.env['TMPDIR'] = dir
  const seen: string[] = []
  const lookedAt: typeof createLogger = (level, options) => {
    const log = createLogger(level, options)
    return {
      ...log,
      write: (event, fields) => {
        if (event === 'session-state') seen.push((fields as { to: string }).to)
        log.write(event, fields)
      },
    }
  }
  await exercise({ Speaker, createLogger: lookedAt, loadConfig })
  t.equal(seen.filter((state) => state === 'Established').length, 4, 'both ends of two sessions')
  t.equal(seen.filter((state) => state === 'Idle').length, 4, 'and their ends')
  t.same(readdirSync(dir), [])
  await t.rejects(
    exercise({
      Speaker,
      createLogger,
      loadConfig: () => ({ ok: false, problems: [{ path: 'asn', message: 'not today' }] }) as never,
    }),
    { message: 'not today' },
  )
})
