use std::{
    ffi::{CStr, c_void},
    ptr,
    sync::atomic::{AtomicU64, Ordering},
};

use ash::vk::{self, Handle as _};
use gpu_allocator::{
    AllocationSizes, AllocatorDebugSettings, MemoryLocation,
    vulkan::{Allocation, AllocationCreateDesc, AllocationScheme, Allocator, AllocatorCreateDesc},
};
use plimsoll::pool::GRANULE_BYTES;

use super::Peer;

/// Its free lists are private to it, so it runs over a Vulkan device that is none: memory is a number. As its blocks
/// are of 256 MiB at most, a larger slab is many of them, each with a short list.
pub struct Gpu(Allocator);

impl Peer for Gpu {
    const NAME: &'static str = "gpu-allocator";
    type Handle = Allocation;

    fn new(_size_bytes: u64, _live: u32) -> Self {
        let find = |name: &CStr| function(name);
        // SAFETY: the functions below have the signatures of those they stand in for; any other that is called panics.
        let (instance, device) = unsafe {
            let instance = ash::Instance::load_with(find, vk::Instance::from_raw(1));
            (instance, ash::Device::load_with(find, vk::Device::from_raw(1)))
        };
        let description = AllocatorCreateDesc {
            instance,
            device,
            physical_device: vk::PhysicalDevice::from_raw(1),
            debug_settings: AllocatorDebugSettings::default(),
            buffer_device_address: false,
            allocation_sizes: AllocationSizes::default(),
        };
        Self(Allocator::new(&description).expect("the device has memory"))
    }

    fn allocate(&mut self, bytes: u64) -> Option<Allocation> {
        let requirements =
            vk::MemoryRequirements { size: bytes, alignment: GRANULE_BYTES, memory_type_bits: u32::MAX };
        let description = AllocationCreateDesc {
            name: "",
            requirements,
            location: MemoryLocation::GpuOnly,
            linear: true,
            allocation_scheme: AllocationScheme::GpuAllocatorManaged,
        };
        self.0.allocate(&description).ok()
    }

    fn free(&mut self, allocation: Allocation) {
        self.0.free(allocation).expect("every handle is freed once");
    }
}

fn function(name: &CStr) -> *const c_void {
    match name.to_bytes() {
        b"vkGetPhysicalDeviceMemoryProperties" => memory_properties as *const c_void,
        b"vkGetPhysicalDeviceProperties" => device_properties as *const c_void,
        b"vkAllocateMemory" => allocate_memory as *const c_void,
        b"vkFreeMemory" => free_memory as *const c_void,
        _ => ptr::null(),
    }
}

unsafe extern "system" fn memory_properties(
    _device: vk::PhysicalDevice,
    properties: *mut vk::PhysicalDeviceMemoryProperties,
) {
    let mut one = vk::PhysicalDeviceMemoryProperties {
        memory_type_count: 1,
        memory_heap_count: 1,
        ..Default::default()
    };
    one.memory_types[0].property_flags = vk::MemoryPropertyFlags::DEVICE_LOCAL;
    one.memory_heaps[0].size = u64::MAX;
    // SAFETY: the caller's struct.
    unsafe { properties.write(one) }
}

unsafe extern "system" fn device_properties(
    _device: vk::PhysicalDevice,
    properties: *mut vk::PhysicalDeviceProperties,
) {
    let mut plain = vk::PhysicalDeviceProperties::default();
    plain.limits.buffer_image_granularity = 1;
    // SAFETY: the caller's struct.
    unsafe { properties.write(plain) }
}

unsafe extern "system" fn allocate_memory(
    _device: vk::Device,
    _info: *const vk::MemoryAllocateInfo<'_>,
    _callbacks: *const vk::AllocationCallbacks<'_>,
    memory: *mut vk::DeviceMemory,
) -> vk::Result {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // SAFETY: the caller's variable.
    unsafe { memory.write(vk::DeviceMemory::from_raw(NEXT.fetch_add(1, Ordering::Relaxed))) }
    vk::Result::SUCCESS
}

unsafe extern "system" fn free_memory(
    _device: vk::Device,
    _memory: vk::DeviceMemory,
    _callbacks: *const vk::AllocationCallbacks<'_>,
) {
}
