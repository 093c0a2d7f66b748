"""The edge agent: runs packaged models on a device, behind the gRPC interface of the original's."""
