package deid

import "strings"

// vocabulary is what descriptors may be made of when they are cleaned (PS3.15 E.3.5): techniques, parts of the body, sides, planes.
// A text with one word that is not here is treated as the Basic Profile has it; so are numbers of more than two digits.
var vocabulary = func() map[string]bool {
	words := make(map[string]bool)
	for w := range strings.FieldsSeq(`
		ct mr mri mra mrt us dx cr xr xa rf nm pt pet mg io px oct dbt cta angio angiography tomography radiograph radiography xray ultrasound sonography
		scan scout topogram localizer localiser series study image images exam examination routine standard protocol follow up baseline control screening
		t1 t2 t1w t2w pd flair stir dwi adc swi tse fse ge gre se tr te fs fat sat spir dixon tof 3d 2d mip mpr vr cine dynamic perfusion diffusion
		native contrast enhanced post pre with without w wo and plus arterial venous portal delayed late early phase bone lung soft tissue window kernel
		axial ax sagittal sag coronal cor oblique lateral lat ap pa frontal cross panoramic panorama opg cephalometric ceph bitewing periapical occlusal
		head skull brain cranium orbit orbits sinus sinuses face facial jaw mandible maxilla tooth teeth dental temporal neck cervical thyroid larynx
		chest thorax thoracic lungs heart cardiac coronary aorta aortic breast mamma mammo mammography abdomen abdominal liver spleen kidney kidneys renal
		pancreas pelvis pelvic bladder prostate uterus spine lumbar sacral lws bws hws shoulder clavicle humerus elbow forearm wrist hand finger thumb hip
		femur thigh knee patella tibia fibula leg ankle foot toe extremity upper lower left right l r li re bilateral both whole body total mid middle
		anterior posterior superior inferior medial proximal distal standing supine prone erect weight bearing of the for in mm cm kv ma`) {
		words[w] = true
	}
	return words
}()

// known says that a text is made of the vocabulary alone.
func known(text string) bool {
	for _, w := range strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return strings.ContainsRune(" \\^_-+/.,;:()[]*&%=", r) }) {
		if !vocabulary[w] && (len(w) > 2 || strings.Trim(w, "0123456789") != "") {
			return false
		}
	}
	return true
}
