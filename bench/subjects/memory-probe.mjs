// Loaded into interceptor's own process by NODE_OPTIONS, for one figure alone: writes its memory into a file, four times
// a second.

import {renameSync, writeFileSync} from 'node:fs'
import {setInterval} from 'node:timers'
import {isMainThread} from 'node:worker_threads'

const PERIOD_MS = 250
const file = process.env.BENCH_MEMORY_FILE

function write() {
  writeFileSync(`${file}.new`, JSON.stringify(process.memoryUsage()))
  renameSync(`${file}.new`, file)
}

if (file !== undefined && isMainThread) setInterval(write, PERIOD_MS).unref()
