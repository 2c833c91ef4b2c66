package xdm

// Objects, classification schemes and nodes, identification schemes of ITI TF-3 4.2.5 and Table 4.2.1.
const (
	stableDocument = "urn:uuid:7edca82f-054d-47f2-a032-9b2a5b5186c1"
	onDemand       = "urn:uuid:34268e47-fdf5-41a6-ba33-82133c465248"
	isSet          = "urn:uuid:a54d6aa5-d40d-43f9-88c5-b4633d873bdd"
	isFolder       = "urn:uuid:d9d542f3-6cc4-48b6-8870-ea235fbc94c2"

	setAuthor      = "urn:uuid:a7058bb9-b4e4-4307-ba5b-e3f0ab85e12d"
	setContentType = "urn:uuid:aa543740-bdda-424e-8c96-df4873be8500"
	setUniqueID    = "urn:uuid:96fdda7c-d067-4183-912e-bf5ee74998a8"
	setSourceID    = "urn:uuid:554ac39e-e3fe-47fe-b233-965d2a147832"
	setPatientID   = "urn:uuid:6b5aea1a-874d-4603-a4bc-96a0a7b38446"
	setLimited     = "urn:uuid:5003a9db-8d8d-49e6-bf0c-990e34ac7707"

	docAuthor          = "urn:uuid:93606bcf-9494-43ec-9b4e-a7748d1a838d"
	docClass           = "urn:uuid:41a5887f-8865-4c09-adf7-e362475b143a"
	docType            = "urn:uuid:f0306f51-975f-434e-a61c-c59651d33983"
	docFormat          = "urn:uuid:a09d5840-386c-46f2-b5ad-9c3699a4309d"
	docConfidentiality = "urn:uuid:f4f85eac-e6cb-4883-b524-f2705394840f"
	docUniqueID        = "urn:uuid:2e82c1f6-a085-4c72-9da3-8640a32e42ab"
	docPatientID       = "urn:uuid:58a6f841-87b3-4a3e-92fd-a8ffeff98427"
	docLimited         = "urn:uuid:ab9b591b-83ab-4d03-8f5d-f93b1fb92e85"
)

// Namespaces of ebXML Registry 3.0, and the name of the list that ties documents to studies (ITI TF-3 4.2.3.2.28).
const (
	rim        = "urn:oasis:names:tc:ebxml-regrep:xsd:rim:3.0"
	lcm        = "urn:oasis:names:tc:ebxml-regrep:xsd:lcm:3.0"
	hasMember  = "urn:oasis:names:tc:ebxml-regrep:AssociationType:HasMember"
	references = "urn:ihe:iti:xds:2013:referenceIdList"
	studyUID   = "urn:ihe:iti:xds:2016:studyInstanceUID"
)
