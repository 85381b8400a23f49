/** Edge: one question to a daemon's API over its unix socket. */
import { request } from 'node:http'

/** The JSON answer. Rejects when nobody answers, or with the daemon's words for a status that is not 200. */
export function ask<T>(socketPath: string, path: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, timeout: ANSWER_LIMIT_MS }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        if (response.statusCode !== 200) reject(new Error(`${path}: ${response.statusCode} ${text.slice(0, 200)}`))
        else resolve(JSON.parse(text) as T)
      })
    })
    asked.on('timeout', () => asked.destroy(new Error(`${path}: no answer`)))
    asked.on('error', reject)
    asked.end()
  })
}

const ANSWER_LIMIT_MS = 5000
