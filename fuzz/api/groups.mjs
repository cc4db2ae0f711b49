/** Which classes each group calls; what these need is made all the same. */
export const groups = {
  budget: ['MemoryBudget', 'Allocation', 'MemoryProfile', 'Admission', 'Grant'],
  buffers: ['StagingPool', 'StagingBuffer', 'GgufFile', 'DeviceBuffer', 'MemoryPool'],
  models: ['GgufFile', 'StagingPool', 'GgufMetadata', 'GgufArray', 'TensorChunk'],
  estimates: [
    'GgufFile',
    'ModelMemoryEstimate',
    'MemoryBudget',
    'estimate',
    'fit',
    'llamaArguments',
    'openLlamaRun',
    'quantizedSizeBytes',
    'ruleOfThumbBytes',
    'contextOfSlot',
  ],
  devices: ['Device', 'StagingPool', 'DeviceBuffer', 'PoolBuffer', 'MemoryPool', 'DeviceFamily'],
  pools: ['MemoryPool', 'PoolBuffer', 'MemoryPools', 'DeviceBuffer'],
  manager: ['MemoryManager', 'MemoryPools', 'DeviceFamily'],
  monitor: ['MemoryMonitor', 'MemoryBudget'],
}
