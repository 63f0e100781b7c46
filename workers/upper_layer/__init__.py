"""The DICOM upper layer (PS3.8) as acceptor and requestor share it."""
