/* Made by script/generate. */
#include <stddef.h>
#include <stdint.h>

/* A google.protobuf.FileDescriptorSet of the services that can be called by gRPC. */
const uint8_t *configlookup_descriptors(void);
size_t configlookup_descriptors_size(void);
