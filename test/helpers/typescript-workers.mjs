// Lets worker threads of tests be TypeScript too: tsx registers itself on the main thread alone.

import {isMainThread} from 'node:worker_threads'

if (!isMainThread) {
  const {register} = await import('tsx/esm/api')
  register()
}
