// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables as they stand in configuration files
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { defaultRouterId, loadConfig } from '../../src/config/load.js'
import { sound } from './support.js'

t.test('a file that cannot be read says what to do', async (t) => {
  const folder = t.testdir({ 'latin1.yaml': '', 'good.yaml': sound('nodeName: ${WHO}') })
  writeFileSync(join(folder, 'latin1.yaml'), Uint8Array.of(0x61, 0xe9, 0x0a))
  mkdirSync(join(folder, 'folder.yaml'))
  const message = (name: string) => {
    const result = loadConfig(join(folder, name))
    return result.ok ? '' : result.problems.map((problem) => problem.message).join()
  }
  t.match(message('none.yaml'), /cannot be read: no such file; give the path/)
  t.match(message('folder.yaml'), /is a directory/)
  t.match(message('latin1.yaml'), /not UTF-8/)
  t.match(loadConfig('/dev/zero'), { ok: false, problems: [{ message: /it is a device/ }] })
  const result = loadConfig(join(folder, 'good.yaml'), { env: { WHO: 'me' }, defaultRouterId: () => 7 })
  t.match(result, { ok: true, config: { nodeName: 'me', routerId: 7, file: join(folder, 'good.yaml') } })
})

t.test('the router id of this machine is never 0 nor a loopback address', async (t) => {
  const id = defaultRouterId('node-1')
  t.ok(id > 0 && id <= 0xffffffff && id >>> 24 !== 127)
})
