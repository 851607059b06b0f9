import { parentPort, workerData } from 'node:worker_threads'
import { attachSource, type SourcePort } from '../src/index.ts'
import { Gauges } from './gauges.ts'
import { runWriter } from './writer.ts'
import type { WriterReport, WriterSetting } from './writer-setting.ts'

/** A thread of the host that has one source. */
export interface WriterTask {
  readonly port: SourcePort
  readonly setting: WriterSetting
  readonly gauges: SharedArrayBuffer
  /** Whether it closes its source itself. */
  readonly closes: boolean
}

export type WriterAnswer = { readonly report: WriterReport } | { readonly failure: string }

async function run({ port, setting, gauges, closes }: WriterTask): Promise<WriterReport> {
  const source = attachSource(port)
  const report = await runWriter(source, setting, new Gauges(gauges))
  if (closes) await source.close()
  return report
}

run(workerData as WriterTask).then(
  (report) => answer({ report }),
  (error: unknown) => answer({ failure: error instanceof Error ? String(error.stack) : String(error) })
)

function answer(message: WriterAnswer): void {
  parentPort?.postMessage(message)
}
