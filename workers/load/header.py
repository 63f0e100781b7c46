"""The elements that all instances of a synthetic series have in common."""

from random import Random

from pydicom.dataset import Dataset

from workers.load.people import Patient, patient
from workers.load.studies import Kind, SyntheticStudy


def series_header(study: SyntheticStudy, series_number: int) -> Dataset:
    """Patient, study, series, equipment and image modules (PS3.3), without pixel data."""
    kind = study.kind
    person = patient(study.random("patient", study.number // 2))
    random = study.random("study", study.number, "header")
    date = f"2025{random.randrange(1, 13):02}{random.randrange(1, 29):02}"
    time = f"{random.randrange(7, 20):02}{random.randrange(60):02}{random.randrange(60):02}"

    header = Dataset()
    _patient_module(header, person, study.patient_id)
    header.SOPClassUID = kind.sop_class_uid
    header.StudyInstanceUID = study.uid()
    header.StudyDate = header.SeriesDate = header.AcquisitionDate = header.ContentDate = date
    header.StudyTime = header.SeriesTime = header.AcquisitionTime = header.ContentTime = time
    header.StudyID = str(random.randrange(1000, 9999))
    header.AccessionNumber = f"A{random.randrange(10**8):08}"
    header.StudyDescription = random.choice(person.locale.study_descriptions)
    header.ReferringPhysicianName = person.locale.referring_physician
    header.InstitutionName = person.locale.institution
    header.SeriesInstanceUID = study.uid(series_number)
    header.SeriesNumber = series_number + 1
    header.Modality = kind.modality
    header.Manufacturer = "SYNTHETIC"
    header.ManufacturerModelName = f"{kind.modality} simulator"
    header.StationName = f"{kind.modality}{random.randrange(1, 5)}"
    header.ProtocolName = f"{kind.modality} routine"
    header.SeriesDescription = f"{header.StationName} series {series_number + 1}"
    header.BodyPartExamined = random.choice(("CHEST", "HEAD", "ABDOMEN"))
    header.AcquisitionNumber = 1
    if series_number % 2 == 0:
        header.RequestAttributesSequence = [_request(random)]
    _image_module(header, kind)
    if kind.tomographic:
        _plane_module(header, kind, study.uid("frame of reference"))
    return header


def _patient_module(header: Dataset, person: Patient, patient_id: str) -> None:
    if person.locale.character_set is not None:
        character_set = person.locale.character_set
        header.SpecificCharacterSet = character_set if isinstance(character_set, str) else list(character_set)
    header.PatientName = person.name
    header.PatientID = patient_id
    header.PatientBirthDate = person.birth_date
    header.PatientSex = person.sex
    header.PatientAge = person.age


def _request(random: Random) -> Dataset:
    item = Dataset()
    item.ScheduledProcedureStepDescription = "Routine"
    item.ScheduledProcedureStepID = f"SPS{random.randrange(10**6)}"
    item.RequestedProcedureID = f"RP{random.randrange(10**6)}"
    return item


def _image_module(header: Dataset, kind: Kind) -> None:
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"] if kind.tomographic else ["ORIGINAL", "PRIMARY"]
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.Rows = kind.rows
    header.Columns = kind.columns
    header.BitsAllocated = 16
    header.BitsStored = 12
    header.HighBit = 11
    header.PixelRepresentation = 0
    header.WindowCenter = "2048"
    header.WindowWidth = "4096"
    if kind.modality == "CT":
        header.KVP = "120"
        header.RescaleIntercept = "-1024"
        header.RescaleSlope = "1"
        header.ConvolutionKernel = "STANDARD"
    elif kind.modality == "MR":
        header.EchoTime = "12.5"
        header.RepetitionTime = "500"
        # These two together make Orthanc expect a number of instances (interop/ingest.md 4).
        header.ImagesInAcquisition = kind.instances_per_series
        header.NumberOfTemporalPositions = 1


def _plane_module(header: Dataset, kind: Kind, frame_of_reference_uid: str) -> None:
    header.FrameOfReferenceUID = frame_of_reference_uid
    header.PositionReferenceIndicator = ""
    header.PatientPosition = "HFS"
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.PixelSpacing = [f"{375 / kind.rows:.4f}"] * 2
    header.SliceThickness = "2.5"
