import { Worker } from 'node:worker_threads'
import { Violation } from './violation.ts'
import type { WriterReport } from './writer-setting.ts'
import type { WriterAnswer, WriterTask } from './writer-thread.ts'

export interface WriterThread {
  /** Resolves when its thread has ended, too. */
  readonly report: Promise<WriterReport>
  end(): Promise<void>
}

export function startWriterThread(task: WriterTask): WriterThread {
  const worker = new Worker(new URL('./writer-thread.ts', import.meta.url), { workerData: task, execArgv: [] })
  const report = new Promise<WriterReport>((resolve, reject) => {
    let got: WriterReport | undefined
    worker.on('message', (answer: WriterAnswer) => {
      if ('report' in answer) got = answer.report
      else reject(new Violation(`writer '${task.setting.name}' in its thread: ${answer.failure}`))
    })
    worker.on('error', reject)
    worker.on('exit', (code) => {
      if (got !== undefined) resolve(got)
      else reject(new Violation(`the thread of writer '${task.setting.name}' ended by itself with code ${code}`))
    })
  })
  return {
    report,
    end: async () => {
      await worker.terminate()
    }
  }
}
