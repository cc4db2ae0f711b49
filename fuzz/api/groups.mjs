/** Which classes each group calls; what these need is made all the same. */
export const groups = {
  budget: ['MemoryBudget', 'Allocation', 'MemoryProfile'],
  buffers: ['StagingPool', 'StagingBuffer', 'GgufFile', 'DeviceBuffer', 'MemoryPool'],
  models: ['GgufFile', 'StagingPool', 'GgufMetadata', 'GgufArray', 'TensorChunk'],
  devices: ['Device', 'StagingPool', 'DeviceBuffer', 'PoolBuffer', 'MemoryPool', 'DeviceFamily'],
  pools: ['MemoryPool', 'PoolBuffer', 'MemoryPools', 'DeviceBuffer'],
  manager: ['MemoryManager', 'MemoryPools', 'DeviceFamily'],
  monitor: ['MemoryMonitor', 'MemoryBudget'],
}
