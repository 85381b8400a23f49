/** `npm run fuzz -- [--messages N] [--seed N]`: the long run. Ends with a summary line, or with what was found and code 1. */
import { parseArgs } from 'node:util'
import { runCampaign } from './campaign.js'
import { failureText, summaryLine } from './report.js'

const USAGE = 'usage: npm run fuzz -- [--messages N] [--seed N]'
const PROGRESS_SECONDS = 10

function main(args: string[]): number {
  const options = optionsOf(args)
  if (options === null) {
    process.stderr.write(`${USAGE}\n`)
    return 2
  }
  const { messages, seed } = options
  process.stdout.write(`seed ${seed}, ${messages} messages\n`)
  const started = performance.now()
  const seconds = (): number => (performance.now() - started) / 1000
  let toldAt = 0
  const { counters, failure } = runCampaign({
    seed,
    messages,
    progress: (now) => {
      if (seconds() - toldAt < PROGRESS_SECONDS) return
      toldAt = seconds()
      const memory = Math.round(process.memoryUsage().rss / 1048576)
      process.stdout.write(`${seconds().toFixed(0)} s: ${now.messages} messages, ${memory} MiB resident\n`)
    },
  })
  const peak = Math.round(process.resourceUsage().maxRSS / 1024)
  const { user, system } = process.cpuUsage()
  const line = summaryLine(counters, (user + system) / 1e6)
  process.stdout.write(`${line}; ${seconds().toFixed(0)} s elapsed; at most ${peak} MiB resident\n`)
  if (failure === null) return 0
  process.stdout.write(`\n${failureText(failure)}\n`)
  return 1
}

function optionsOf(args: string[]): { messages: number; seed: number } | null {
  try {
    const { values } = parseArgs({ args, options: { messages: { type: 'string' }, seed: { type: 'string' } } })
    const messages = Number(values.messages ?? 1_000_000)
    const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31))
    return Number.isSafeInteger(messages) && messages > 0 && Number.isSafeInteger(seed) ? { messages, seed } : null
  } catch {
    return null
  }
}

process.exitCode = main(process.argv.slice(2))
