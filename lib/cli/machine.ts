import { IoError, type MachineMemory, MemoryManager, type MemoryManagerOptions, machineMemory } from '../index.js'
