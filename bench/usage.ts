import os from 'node:os'
import type { Contestant, Rate } from './measure.ts'

/** What the process, and the machine beside it, used during all samples of one contestant. */
export class Usage {
  private updates = 0
  private elapsedMs = 0
  private ownMs = 0
  private machineMs = 0
  private sleeps = 0
  private pageFaults = 0

  sample(contestant: Contestant, count: number): Promise<number> {
    return this.during(count, () => contestant.run(count))
  }

  /** @param count  updates, or whatever else the figures are to be for */
  async during<Result>(count: number, work: () => Promise<Result>): Promise<Result> {
    const began = performance.now()
    const machine = machineBusyMs()
    const before = process.resourceUsage()
    const result = await work()
    const after = process.resourceUsage()
    this.machineMs += machineBusyMs() - machine
    this.elapsedMs += performance.now() - began
    this.ownMs += ownBusyMs(after) - ownBusyMs(before)
    this.sleeps += after.voluntaryContextSwitches - before.voluntaryContextSwitches
    this.pageFaults += after.minorPageFault - before.minorPageFault
    this.updates += count
    return result
  }

  read(): Pick<Rate, 'cpuNs' | 'sleeps' | 'pageFaults' | 'ownCores' | 'otherCores'> {
    const { updates, elapsedMs, ownMs, machineMs } = this
    return {
      cpuNs: (ownMs * 1e6) / updates,
      sleeps: (this.sleeps * 1000) / updates,
      pageFaults: (this.pageFaults * 1000) / updates,
      ownCores: ownMs / elapsedMs,
      otherCores: Math.max(0, machineMs - ownMs) / elapsedMs
    }
  }
}

function ownBusyMs({ userCPUTime, systemCPUTime }: NodeJS.ResourceUsage): number {
  return (userCPUTime + systemCPUTime) / 1000
}

/** Of all processors, in steps of 10 ms. */
function machineBusyMs(): number {
  return os.cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0)
}
