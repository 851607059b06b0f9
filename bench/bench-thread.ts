import { parentPort, type Transferable, Worker } from 'node:worker_threads'

/** A thread of a benchmark that does what it is asked, one request at a time. */
export class BenchThread<Request, Result> {
  private readonly worker: Worker
  private readonly name: string
  private pending: { resolve(result: Result): void; reject(error: Error): void } | undefined
  private failure: Error | undefined

  /** @param file  in bench/threads, without its ending */
  constructor(file: string, workerData: unknown, transferList: Transferable[] = []) {
    this.name = file
    this.worker = new Worker(new URL(`./threads/${file}.ts`, import.meta.url), { workerData, transferList })
    this.worker.on('message', (result: Result) => this.pending?.resolve(result))
    this.worker.on('error', (error) => this.fail(error as Error))
    this.worker.on('exit', (code) => this.fail(new Error(`the thread ${this.name} has ended with code ${code}`)))
  }

  ask(request: Request): Promise<Result> {
    return new Promise((resolve, reject) => {
      if (this.failure !== undefined) return reject(this.failure)
      this.pending = { resolve, reject }
      this.worker.postMessage(request)
    })
  }

  async close(): Promise<void> {
    this.pending = undefined
    await this.worker.terminate()
  }

  private fail(error: Error): void {
    this.failure ??= error
    this.pending?.reject(this.failure)
  }
}

/** The thread's side: every request gets one answer. What it throws ends the thread, and whoever asked is told. */
export function answerRequests<Request, Result>(work: (request: Request) => Result | Promise<Result>): void {
  parentPort?.on('message', async (request: Request) => {
    const result = await work(request)
    parentPort?.postMessage(result)
  })
}
